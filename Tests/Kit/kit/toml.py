"""Writes settings files. Reading them is batond's."""

import json
import re


def value(of):
    if isinstance(of, bool):
        return "true" if of else "false"
    if isinstance(of, (int, float)):
        return str(of)
    if isinstance(of, (list, tuple)):
        return "[" + ", ".join(map(value, of)) + "]"
    if isinstance(of, dict):
        return "{ " + ", ".join(f"{key(name)} = {value(each)}" for name, each in of.items()) + " }"
    return json.dumps(str(of))


def key(name):
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def table(title, entries):
    """One `[title]` with its keys; a key whose value is None is left out."""
    lines = [f"{key(name)} = {value(each)}" for name, each in entries.items() if each is not None]
    return "\n".join([f"[{title}]", *lines]) + "\n"
