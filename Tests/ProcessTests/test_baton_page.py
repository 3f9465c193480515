"""baton(1) against the program: commands, arguments, options, JSON, environment, completions."""

import json
import re
import subprocess
import unittest

from kit import programs

PAGE = programs.ROOT / "man/baton.1"
# Explained once, in DESCRIPTION.
COMMON = {"--control", "--json", "--settings", "-h", "--help", "--version"}


def section(name):
    return re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh )", PAGE.read_text(), re.M | re.S)[1]


def documented():
    """Each command's synopsis and the rest of its text."""
    parts = re.split(r"^\.Ss baton (.+)\n", section("COMMANDS"), flags=re.M)[1:]
    return {name: text.partition("\n.Pp\n")[::2] for name, text in zip(parts[::2], parts[1::2], strict=True)}


def flags(line):
    """`Fl f | -follow` as {-f, --follow}."""
    found = re.search(r"Fl (\S+)(?: [|,] (\S+))?", line)
    return {f"-{name}" for name in found.groups() if name} if found else set()


def run(*arguments, **environment):
    return subprocess.run(
        [programs.path("baton"), *arguments], capture_output=True, text=True, timeout=20,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )  # fmt: skip


def commands():
    """Those with commands of their own, such as backup, are these: `backup create`."""
    tree = json.loads(run("--experimental-dump-help").stdout)["command"]
    found = {}
    for each in tree["subcommands"]:
        if each["commandName"] != "help" and each["shouldDisplay"]:
            inner = [one for one in each.get("subcommands", ()) if one["commandName"] != "help"]
            found.update({f"{each['commandName']} {one['commandName']}": one for one in inner} or {each["commandName"]: each})
    return found


def named(argument):
    return {("-" if name["kind"] == "short" else "--") + name["name"] for name in argument["names"]}


class Page(unittest.TestCase):
    def test_it_has_every_command_in_order(self):
        self.assertEqual(list(documented()), list(commands()))

    def test_synopses_have_the_options_and_arguments_there_are(self):
        for name, command in commands().items():
            synopsis = documented()[name][0].splitlines()
            with self.subTest(name):
                said = [flags(line) for line in synopsis if "Fl " in line and ".Op Fl - " not in line]
                known = [named(each) for each in command["arguments"] if each["kind"] != "positional"]
                self.assertCountEqual(said, [names for names in known if not names & {"--help", "--version"}])
                for each in command["arguments"]:
                    if each["kind"] == "option":
                        line = next(line for line in synopsis if flags(line) == named(each))
                        self.assertRegex(line, r" Ar \S+$")
                    if each["kind"] == "flag" and not named(each) & {"--help", "--version"}:
                        self.assertNotIn(" Ar ", next(line for line in synopsis if flags(line) == named(each)))
                # `words` stands for a service and what it is followed by.
                positional = [each for each in command["arguments"] if each["kind"] == "positional"]
                arguments = [line for line in synopsis if re.match(r"\.(Op )?Ar |\.Op Fl - Ar ", line)]
                if [each["valueName"] for each in positional] == ["words"]:
                    self.assertGreaterEqual(len(arguments), 2)
                    for line in arguments[1:]:
                        self.assertEqual(line.startswith(".Op"), positional[0]["isOptional"])
                else:
                    self.assertEqual(
                        [(re.search(r"Ar (\S+)", line)[1], line.startswith(".Op")) for line in arguments],
                        [(each["valueName"], each["isOptional"]) for each in positional],
                    )

    def test_every_option_is_explained_where_it_is_or_once_for_all(self):
        for name, command in commands().items():
            synopsis, text = documented()[name]
            items = [flags(line) for line in text.splitlines() if line.startswith(".It ")]
            known = [named(each) for each in command["arguments"] if each["kind"] != "positional"]
            with self.subTest(name):
                self.assertCountEqual(items, [names for names in known if not names <= COMMON])
                for each in command["arguments"]:
                    if "defaultValue" in each:
                        item = text[text.index(f"-{each['preferredName']['name']} ") :]
                        self.assertIn(f"The default is {each['defaultValue']}.", item.partition(".It ")[0])
        once = [flags(line) for line in section("DESCRIPTION").splitlines() if line.startswith(".It ")]
        self.assertEqual(set().union(*once), COMMON)

    def test_numbers_are_those_of_the_program(self):
        routes = (programs.ROOT / "Sources/ControlProtocol/Routes.swift").read_text()

        def number(name):
            return re.search(rf"{name} = ([\d_]+)", routes)[1].replace("_", "")

        self.assertIn(f"at most {number('maximumEvents')}.", documented()["events"][1])
        self.assertIn(f"0 to {number('maximumWorkers')},", documented()["scale"][1])

    def test_variables_are_those_the_program_reads(self):
        sources = [*(programs.ROOT / "Sources/baton").rglob("*.swift"), *(programs.ROOT / "Sources/ControlClient").rglob("*.swift")]
        read = {
            name for file in sources for name in re.findall(r'(?:variable|getenv)\("([A-Z_]+)"\)', file.read_text())
        }
        said = re.findall(r"^\.It Ev (.+)$", section("ENVIRONMENT"), re.M)
        self.assertEqual({name for line in said for name in line.split(" , ")}, read)

    def test_members_of_json_are_named(self):
        said = section("JSON")
        for members in (
            json.loads(run("status", "--json", "--control", "/nonexistent/control").stdout),
            json.loads(run("check", "--json", "/nonexistent.toml").stdout),
            *json.loads(run("check", "--json", "/nonexistent.toml").stdout)["errors"],
        ):
            for name in members:
                self.assertRegex(said, rf"\.Li [^\n]*\b{name}\b")
        finding = (programs.ROOT / "Sources/baton/Doctor/Finding.swift").read_text()
        self.assertIn(".Li " + " , ".join(re.findall(r'append\("(\w+)"', finding)), said)
        doctor = (programs.ROOT / "Sources/baton/Commands/Doctor.swift").read_text()
        self.assertIn(".Li " + " , ".join(re.findall(r'append\("(\w+)"', doctor)), said)
        with_json = {name for name, each in commands().items() if any("--json" in named(a) for a in each["arguments"] if "names" in a)}
        listed = {word for line in re.findall(r"^\.It Ic (.*)$", said, re.M) for word in line.split(" , ")}
        self.assertEqual(listed | {"logs"}, with_json, "journalctl has its own")

    def test_completions_are_made_for_the_shells_it_names(self):
        shells = re.findall(r"--generate-completion-script (\w+) >", section("FILES"))
        self.assertEqual(shells, ["bash", "zsh", "fish"])
        for shell in shells:
            self.assertIn("reload", run("--generate-completion-script", shell).stdout)

    def test_examples_are_accepted(self):
        """Each is understood: it fails for want of a service, not for its words. No service of this host is asked."""
        examples = re.findall(r"^\.Dl [#$] (?:.*&& )?(baton [^|\n]*)", section("EXAMPLES"), re.M)
        self.assertGreater(len(examples), 6)
        for example in examples:
            with self.subTest(example):
                words = example.split()[1:]
                if words[0] == "logs":
                    words.append("--help")
                self.assertNotEqual(run(*words, BATON_CONTROL="/nonexistent/control").returncode, 64)

    def test_it_looks_where_it_says(self):
        self.assertIn("/run/baton/no-such-service/control", run("status", "no-such-service").stderr)
        self.assertIn("/etc/baton/no-such-service.toml", run("check", "no-such-service").stderr)

    def test_mandoc_finds_nothing(self):
        for page in ("baton.1", "baton-protocol.7"):
            lint = subprocess.run(
                [programs.tool("mandoc"), "-T", "lint", "-W", "warning", str(programs.ROOT / "man" / page)],
                capture_output=True, text=True,
            )  # fmt: skip
            self.assertEqual((lint.returncode, lint.stdout), (0, ""))
