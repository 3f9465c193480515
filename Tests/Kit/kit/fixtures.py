"""fixture-service as the user's program: its counts, its stamps and what it inherited."""

import dataclasses
import json
import struct


def counts(path):
    """What was asked of all who share a count file: clients, health, probes, connections, datagrams, starts."""
    names = ("clients", "health", "probes", "connections", "datagrams", "starts")
    try:
        data = open(path, "rb").read()
    except FileNotFoundError:
        return dict.fromkeys(names, 0)
    if len(data) < 56 or data[:8] == bytes(8):  # being made
        return dict.fromkeys(names, 0)
    magic, *numbers = struct.unpack("=8s6Q", data[:56])
    assert magic == b"FIXCOUNT", f"{path} holds no counts"
    return dict(zip(names, numbers))


@dataclasses.dataclass
class Stamp:
    """When something happened in a program, by CLOCK_MONOTONIC."""

    event: str
    pid: int
    seconds: float
    worker: str
    generation: str


def stamps(path, event=None):
    """The stamps of a file in their order; only those of one event when it is named."""
    found = []
    try:
        lines = open(path).read().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        name, pid, nanoseconds, worker, generation = line.split()
        if event in (None, name):
            found.append(Stamp(name, int(pid), int(nanoseconds) / 1e9, worker, generation))
    return found


def inherited(path):
    """The report of --report-process."""
    return json.loads(open(path).read())
