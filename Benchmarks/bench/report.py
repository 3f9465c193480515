"""One table for each measure, and all of it as JSON."""

import json

from .figures import Figure


class Measure:
    """Rows are subjects, columns what was measured; a target names the column it is about."""

    def __init__(self, key, title, targets=(), of="batond"):
        self.key, self.title, self.targets, self.of = key, title, targets, of
        self.rows = {}  # subject → column → Figure, number or text
        self.notes = {}  # subject → text
        self.left_out = {}  # subject → why

    def set(self, subject, column, value):
        self.rows.setdefault(subject.name, {})[column] = value
        if subject.note:
            self.notes[subject.name] = subject.note

    def columns(self):
        return list(dict.fromkeys(column for row in self.rows.values() for column in row))

    def lines(self):
        yield self.title
        columns = self.columns()
        table = [["", *columns]] + [[name, *(str(row.get(column, "–")) for column in columns)]
                                    for name, row in self.rows.items()]
        widths = [max(len(line[index]) for line in table) for index in range(len(columns) + 1)]
        for line in table:
            yield "  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
        for name, why in self.left_out.items():
            yield f"  {name}: left out: {why}"
        for name, note in self.notes.items():
            yield f"    {name}: {note}"
        for target in self.targets:
            yield f"  {target.verdict(self.rows.get(self.of), self.of)}"

    def json(self):
        rows = {name: {column: value.json() if isinstance(value, Figure) else value for column, value in row.items()}
                for name, row in self.rows.items()}
        return {"title": self.title, "subjects": rows, "notes": self.notes, "left_out": self.left_out,
                "targets": [target.json(self.rows.get(self.of)) for target in self.targets]}


class Target:
    """What we are to reach in one column."""

    def __init__(self, column, most, unit=""):
        self.column, self.most, self.unit = column, most, unit

    def reached(self, row):
        if row is None or self.column not in row:
            return None
        value = row[self.column]
        value = value.median if isinstance(value, Figure) else value
        return None if value is None else value <= self.most

    def text(self, whose):
        return f"{whose}'s {self.column}: at most {self.most} {self.unit}".rstrip()

    def verdict(self, row, whose):
        word = {True: "reached", False: "MISSED", None: "not measured"}[self.reached(row)]
        return f"{word}: {self.text(whose)}"

    def json(self, row):
        return {"column": self.column, "most": self.most, "unit": self.unit, "reached": self.reached(row)}


def to_json(measures, facts):
    return json.dumps({"facts": facts, "measures": {measure.key: measure.json() for measure in measures}}, indent=1)
