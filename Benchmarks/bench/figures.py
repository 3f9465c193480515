"""Numbers for the table: medians with their ranges."""

import statistics


def milliseconds(nanoseconds):
    return nanoseconds / 1e6


class Figure:
    """Several values of one thing; shown as `median (least–most)`."""

    def __init__(self, values, unit="ms", digits=1):
        self.values, self.unit, self.digits = list(values), unit, digits

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    def __str__(self):
        if not self.values:
            return "–"
        least, most = min(self.values), max(self.values)
        number = f"{self.median:.{self.digits}f}"
        if len(self.values) == 1 or least == most:
            return f"{number} {self.unit}".strip()
        return f"{number} ({least:.{self.digits}f}–{most:.{self.digits}f}) {self.unit}".strip()

    def json(self):
        return {"median": self.median, "unit": self.unit, "values": self.values}
