"""House rules as a check: what the compiler, the formatter and a reviewer's eye would each miss.

Each rule is a function that yields findings; a finding is (place, what, what to do instead). A file's own exception is
written in the table beside the rule, with its reason.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Imports a module may show beside the standard library. batond's modules stay small: no Foundation, Dispatch or NIO.
PURE_CORES = {"Supervision", "Deployment", "Leases"}
HEAVY = {"Foundation", "FoundationEssentials", "Dispatch", "NIO", "NIOPosix", "NIOCore"}
LAYERS = {
    "Vocabulary": 0, "LinuxSystem": 0, "CLinux": 0, "CToml": 0, "CJansson": 0, "CSystemd": 0, "CSQLite": 0,
    "CArchive": 0, "CNettle": 0, "CPostgres": 0, "CCurl": 0, "JSON": 0,
    "Systemd": 1,
    "Supervision": 2, "Deployment": 2, "Leases": 2,
    "Settings": 3, "Ledger": 3, "Databases": 3, "LeaseStores": 3, "SupervisorRuntime": 3, "Probing": 3,
    "ControlProtocol": 4, "ControlServer": 4, "ControlClient": 4, "DeploymentRuntime": 4,
    "batond": 5, "baton": 5,
}  # fmt: skip

LINES_AT_MOST = 400
# Uniform tables may be longer.
LONG_FILES = {"CHANGELOG.md"}

SLEEPS = re.compile(r"\b(?:Thread\.sleep|Task\.sleep|usleep|nanosleep|time\.sleep|(?<!func )sleep)\s*\(\s*[^)\s]")
# The only place that may wait a moment between two looks at something that sends no event.
SLEEP_PLACES = {"Tests/Kit/kit/waiting.py"}

TRAPS = re.compile(r"\b(?:try!|fatalError\s*\(|as!\s)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
VAGUE_NAMES = re.compile(r"(?:Utils?|Common|Helpers?|Manager)(?:\.|$)")
MACHINE_PATHS = re.compile(r"(?<![\w.~/])/(?:home/\w|root/\w|work/|mnt/\w|Users/\w|opt/sw" + r"ift)")


def tracked(*suffixes):
    """Files of the repository, new ones included, whose names end in one of the suffixes (all, when none is given)."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in sorted(filter(None, listing.split("\0"))):
        if (not suffixes or name.endswith(suffixes)) and (ROOT / name).is_file():
            yield name


def lines_of(name):
    try:
        return (ROOT / name).read_text().splitlines()
    except UnicodeDecodeError:
        return []


def code_of(line):
    """The line without its comment, roughly: enough to tell a call from prose about it."""
    return re.split(r"(?<!:)//|(?:^|\s)#\s", line, maxsplit=1)[0]


def imports_point_down():
    """A module imports modules of its own layer or below; pure cores import Vocabulary alone."""
    for name in tracked(".swift"):
        if not name.startswith("Sources/"):
            continue
        module = name.split("/")[1]
        if module not in LAYERS:
            yield name, f"{module} has no layer", "add it to LAYERS in Tests/Kit/tidy.py and to the design"
            continue
        for number, line in enumerate(lines_of(name), 1):
            found = re.match(r"\s*(?:@\w+\s+)*(?:package |public |internal |private )?import (?:\w+ )?(\w+)", line)
            if not found:
                continue
            other = found[1]
            place = f"{name}:{number}"
            if module in PURE_CORES and other != "Vocabulary":
                yield place, f"the pure core {module} imports {other}", "a core imports Vocabulary alone"
            if other in HEAVY and module != "baton":
                yield place, f"{module} imports {other}", "batond's modules stand on Glibc and C alone"
            if LAYERS.get(other, -1) > LAYERS[module]:
                yield place, f"{module} (layer {LAYERS[module]}) imports {other} (layer {LAYERS[other]})", "import downwards"


def files_are_short():
    """One concept a file: at most 400 lines."""
    for name in tracked(".swift", ".c", ".cpp", ".h", ".py"):
        length = len(lines_of(name))
        if length > LINES_AT_MOST and name not in LONG_FILES:
            yield name, f"{length} lines", f"at most {LINES_AT_MOST}: divide it by concept"


def tests_do_not_sleep():
    """A test waits for an event with a deadline."""
    for name in tracked(".swift", ".py", ".sh"):
        if not name.startswith(("Tests/", "scripts/", "Sources/")) or name in SLEEP_PLACES:
            continue
        for number, line in enumerate(lines_of(name), 1):
            if SLEEPS.search(code_of(line)) and "SLEEPS" not in line:
                yield f"{name}:{number}", "sleeps", "wait for the event, with a deadline"


def nothing_traps():
    """Operating errors are values."""
    for name in tracked(".swift"):
        if not name.startswith("Sources/"):
            continue
        for number, line in enumerate(lines_of(name), 1):
            found = TRAPS.search(code_of(line))
            if found:
                yield f"{name}:{number}", f"uses {found[0].strip()}", "return or throw a typed error"


def nothing_is_left_open():
    """No notes to oneself: an issue, or done."""
    for name in tracked():
        for number, line in enumerate(lines_of(name), 1):
            found = UNFINISHED.search(line)
            if found:
                yield f"{name}:{number}", f"says {found[0]}", "finish it or open an issue"


def names_say_what():
    """A name such as Utils says nothing."""
    for name in tracked():
        if any(VAGUE_NAMES.search(part) for part in name.split("/")):
            yield name, "is a vague name", "name it for its one concept"


def no_machine_paths():
    """Nothing of the machine it was written on."""
    for name in tracked():
        for number, line in enumerate(lines_of(name), 1):
            if MACHINE_PATHS.search(line):
                yield f"{name}:{number}", "names a path of one machine", "take it from the environment or the checkout"


def text_files_end_well():
    """No trailing blanks, no tabs in Swift or Python, one newline at the end."""
    for name in tracked(".swift", ".py", ".md", ".c", ".h", ".cpp", ".toml", ".service", ".socket"):
        if name.startswith("docs/states/"):
            continue  # generated, and compared with the code by a test
        text = (ROOT / name).read_text(errors="replace")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield name, "does not end in exactly one newline", "end it so"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() or (name.endswith((".swift", ".py")) and "\t" in line):
                yield f"{name}:{number}", "has a trailing blank or a tab", "remove it"


def documents_name_real_scripts():
    """What README and CONTRIBUTING tell a person to run is there."""
    for name in ("README.md", "CONTRIBUTING.md"):
        if not (ROOT / name).exists():
            continue
        for number, line in enumerate(lines_of(name), 1):
            for script in re.findall(r"\b(scripts/[a-z-]+(?:\.sh)?)", line):
                if not (ROOT / script).exists():
                    yield f"{name}:{number}", f"names {script}, which is not there", "keep the document accurate"


RULES = (
    imports_point_down, files_are_short, tests_do_not_sleep, nothing_traps, nothing_is_left_open, names_say_what,
    no_machine_paths, text_files_end_well, documents_name_real_scripts,
)  # fmt: skip


def main():
    broken = 0
    for rule in RULES:
        findings = list(rule())
        broken += bool(findings)
        for place, what, instead in findings:
            print(f"{place}: {what}; {instead} [{rule.__name__}]")
    print(f"{len(RULES) - broken} passed, {broken} failed, 0 skipped")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
