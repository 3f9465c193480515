"""Whatever a deploy is given: a clear error, the old release serves on, nothing is left over, and the next one goes well."""

import contextlib
import fcntl
import http.server
import io
import os
import signal
import socket
import tarfile
import threading
import time
import unittest

from kit import http as client
from kit import proc
from kit.deploys import deployed
from kit.runner import within
from kit.waiting import wait_until


def answer(deploy):
    return client.ask(deploy.of.port).release


class Served(unittest.TestCase):
    @contextlib.contextmanager
    def served(self):
        """A service with a good release, "one"; what is done in here costs it nothing, and the next deploy goes well."""
        with deployed() as deploy:
            deploy.deployed()
            usual = {name: dict(value) if value else value for name, value in (("deploy", deploy.deploy), ("health", None))}
            self.before = self.state(deploy)
            yield deploy
            deploy.deploy, deploy.health = usual["deploy"], usual["health"]
            deploy.version("two")
            deploy.deployed()
            self.assertEqual(answer(deploy), "two")

    def state(self, deploy):
        folder = deploy.directory / "releases"
        left = [str(path) for path in deploy.directory.rglob(".tmp-*")]
        return deploy.current, answer(deploy), sorted(path.name for path in folder.iterdir() if path.is_dir()), left

    def refused(self, deploy, *words, says, command="deploy", seconds=60, **options):
        began = time.monotonic()
        done = deploy.baton(command, "--foreground", *words, within=seconds, **options)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertRegex(done.stderr, "serves as before|nothing was begun")
        self.assertEqual(self.state(deploy), self.before, done.stderr)
        return time.monotonic() - began


@within(120)
class Sources(Served):
    def test_a_ref_that_does_not_exist(self):
        with self.served() as deploy:
            for ref in ("no-such-branch", "0123456789abcdef0123456789abcdef01234567", "v1^{tree}", "--upload-pack=touch x"):
                self.refused(deploy, f"--ref={ref}", says=ref)

    def test_a_repository_that_is_none(self):
        with self.served() as deploy:
            empty = deploy.of.folder / "empty"
            empty.mkdir()
            (deploy.of.folder / "file").write_text("no repository")
            for name in (empty, deploy.of.folder / "file", deploy.of.folder / "missing", "http://127.0.0.1:1/shop.git"):
                deploy.deploy["repository"] = name
                self.refused(deploy, says=str(name))

    def test_what_is_no_archive(self):
        with self.served() as deploy:
            path = deploy.of.folder / "built.tar.gz"
            for text in (b"", b"<html>404 Not Found</html>", b"\x1f\x8b\x08\x00 cut off", os.urandom(5000)):
                path.write_bytes(text)
                self.refused(deploy, "--from", path, says=str(path))
            self.refused(deploy, "--from", deploy.of.folder / "missing.tar", says="missing.tar")
            os.mkfifo(deploy.of.folder / "pipe.tar")
            self.refused(deploy, "--from", deploy.of.folder / "pipe.tar", says="pipe.tar")

    def test_a_directory_with_what_is_no_file(self):
        with self.served() as deploy:
            folder = deploy.of.folder / "built"
            folder.mkdir()
            (folder / "serve").write_text(deploy.program("--version-text", "two"))
            (folder / "serve").chmod(0o755)
            os.mkfifo(folder / "pipe")
            self.refused(deploy, "--from", folder, says="pipe")


@within(120)
class HostileArchives(Served):
    def archive(self, deploy, *entries):
        """A release that would run, and these: (name, what differs from a plain file)."""
        path = deploy.of.folder / "built.tar"
        with tarfile.open(path, "w") as made:
            text = deploy.program("--version-text", "stolen").encode()
            serve = tarfile.TarInfo("serve")
            serve.size, serve.mode = len(text), 0o755
            made.addfile(serve, io.BytesIO(text))
            for name, differs in entries:
                entry = tarfile.TarInfo(name)
                for key, value in differs.items():
                    setattr(entry, key, value)
                entry.size = 0 if differs else 6
                made.addfile(entry, io.BytesIO(b"stolen"))
        return path

    def test_nothing_is_written_outside(self):
        with self.served() as deploy:
            precious = deploy.of.folder / "precious"
            precious.write_text("precious")
            hard, link, device, pipe = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE
            for entries, says in (
                ([("../../../precious", {})], '".."'),
                ([("lib/../../../../precious", {})], '".."'),
                ([(str(precious), {})], "absolute"),
                ([("taken", {"type": hard, "linkname": str(precious)})], "hard link"),
                ([("taken", {"type": hard, "linkname": "../../../precious"})], "hard link"),
                ([("way", {"type": link, "linkname": str(deploy.of.folder)}), ("way/precious", {})], "way"),
                ([("way", {"type": link, "linkname": "../../.."}), ("way/precious", {})], "way"),
                ([("null", {"type": device, "devmajor": 1, "devminor": 3})], "device"),
                ([("disk", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0})], "device"),
                ([("pipe", {"type": pipe})], "FIFO"),
                ([("lib", {}), ("lib", {})], "lib"),
                ([("root", {"mode": 0o4755})], "root"),
            ):  # fmt: skip
                with self.subTest(entries):
                    self.refused(deploy, "--from", self.archive(deploy, *entries), says=[says, entries[0][0]])
                    self.assertEqual(precious.read_text(), "precious")

    @within(240)
    def test_a_million_entries(self):
        with self.served() as deploy:
            read, write = os.pipe()
            fcntl.fcntl(write, 1031, 1 << 20)  # F_SETPIPE_SZ
            sender = threading.Thread(target=self.send, args=(write, 1_000_000))
            sender.start()
            try:
                took = self.refused(deploy, "--from", "-", says="500000 entries", seconds=200, stdin=read)
            finally:
                os.close(read)
                sender.join()
            print(f"refused after {took:.1f} s")

    def send(self, descriptor, count):
        """A tar of empty files, made as it is read."""
        one = bytearray(tarfile.TarInfo("f0000000").tobuf(tarfile.USTAR_FORMAT))
        base = sum(one[:148]) + sum(one[156:]) + 8 * 32 - 7 * 48
        with open(descriptor, "wb", buffering=1 << 20) as pipe, contextlib.suppress(BrokenPipeError):
            for number in range(count):
                digits = b"%07d" % number
                one[1:8], one[148:156] = digits, b"%06o\0 " % (base + sum(digits))
                pipe.write(one)
            pipe.write(bytes(1024))


@within(120)
class Builds(Served):
    def test_one_that_forks_away_leaves_nothing_behind(self):
        with self.served() as deploy:
            mark = f"3{os.getpid()}"
            deploy.deploy["build"] = [
                ["sh", "-c", f"setsid sleep {mark} & exit 0"],
                ["sh", "-c", f"(trap '' TERM HUP; setsid sleep {mark} </dev/null >/dev/null 2>&1 &) & test -x serve"],
            ]
            began = time.monotonic()
            deploy.version("forked")
            deploy.deployed()
            self.assertLess(time.monotonic() - began, 30)
            everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            self.assertEqual([pid for pid in everyone if ["sleep", mark] == proc.command_line(pid)], [])

    def test_one_that_hangs_is_ended(self):
        with self.served() as deploy:
            deploy.version("hung")
            deploy.deploy |= {"build-timeout": "1s", "build": [["sh", "-c", "trap '' TERM INT; sleep 300 & wait; sleep 300"]]}
            self.assertLess(self.refused(deploy, says="build-timeout"), 40)

    def test_one_that_talks_without_end_fills_no_disk(self):
        with self.served() as deploy:
            deploy.version("loud")
            # Long lines: it is the bytes that are bounded, and each line costs the reader.
            words = "yes \"$(head -c 1500 /dev/zero | tr '\\0' x)\" | head -c 80M; exit 3"
            deploy.deploy["build"] = [["sh", "-c", words]]
            self.refused(deploy, says="exit status 3")
            (log,) = [path for path in (deploy.directory / "deploys" / deploy.operations()[-1]).glob("output.log")]
            self.assertIn(b"the rest is left out", log.read_bytes()[-1 << 20:])
            self.assertLess(log.stat().st_size, 70 << 20)

    def test_one_whose_program_is_missing_or_not_executable(self):
        with self.served() as deploy:
            deploy.version("nothing")
            deploy.deploy["build"] = [["no-such-compiler"]]
            self.refused(deploy, says="no-such-compiler")
            for words in ("rm serve", "chmod 644 serve", "rm serve && mkdir serve", "ln -sf /etc/passwd serve"):
                deploy.deploy["build"] = [["sh", "-c", words]]
                self.refused(deploy, says="serve")


class Endless(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        self.send_response(302)
        self.send_header("Location", f"{self.path}x"[-40:])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@within(120)
class HealthChecks(Served):
    def check(self, deploy, says, **check):
        deploy.health = {"check": [{"timeout": "500ms", **check}], "passes": 1, "interval": "50ms", "deadline": "2s"}
        deploy.version("two")
        self.assertLess(self.refused(deploy, says=says), 30)

    def test_a_url_that_hangs(self):
        with self.served() as deploy, socket.create_server(("127.0.0.1", 0)) as silent:
            self.check(deploy, "health check failed", url=f"http://127.0.0.1:{silent.getsockname()[1]}/")

    def test_a_url_that_leads_on_for_ever(self):
        with self.served() as deploy, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
            server.asked = 0
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for follow in (0, 10):
                self.check(deploy, "302" if follow == 0 else "redirect", url=f"http://127.0.0.1:{server.server_port}/", follow=follow)
            self.assertLess(server.asked, 2000)
            server.shutdown()

    def test_the_right_status_with_the_wrong_body(self):
        with self.served() as deploy:
            url = f"http://127.0.0.1:{deploy.of.port}/health"
            self.check(deploy, "health check failed", url=url, contains="all is well")
            self.check(deploy, "health check failed", url=url, json={"path": "status", "equals": "ok"})

    def test_nobody_there(self):
        with self.served() as deploy:
            self.check(deploy, "health check failed", url="http://127.0.0.1:1/")
            self.check(deploy, "health check failed", url="http://no-such-host.invalid/")


@within(120)
class Backups(Served):
    def test_a_corrupt_one_is_not_gone_back_to(self):
        with deployed() as deploy:
            deploy.deployed()
            deploy.version("two")
            deploy.deployed()
            self.before = self.state(deploy)
            (path,) = (deploy.directory / "backups").glob("*.tar.zst")
            whole = path.read_bytes()
            middle = len(whole) // 2
            for text in (b"", whole[:middle], whole[:-1], whole[:middle] + b"\xff\xff\xff" + whole[middle + 3:], b"x" * 4096):
                path.write_bytes(text)
                self.refused(deploy, "--to-backup", path.name, command="rollback", says=path.name)
            self.refused(deploy, "--to-backup", "no-such.tar.zst", command="rollback", says="no-such.tar.zst")
            path.write_bytes(whole)
            done = deploy.baton("rollback", "--foreground", "--to-backup", path.name)
            self.assertEqual((done.returncode, answer(deploy)), (0, "one"), done.stderr)


@within(120)
class AtOnce(Served):
    """Begun in the same instant: one has its way, the other is told who is at work."""

    def both(self, deploy, first, second):
        begun = [deploy.start(*words, "--foreground") for words in (first, second)]
        ended = []
        for process in begun:
            out, said = process.communicate(timeout=60)
            ended.append((process.returncode, said))
        deploy.wait_idle()
        return ended

    def test_two_deploys(self):
        with self.served() as deploy:
            deploy.deploy["build"] = [["sleep", "2"]]  # SLEEPS
            for number in range(3):
                deploy.version(f"v{number}")
                before = deploy.operations()
                ended = self.both(deploy, ["deploy"], ["deploy"])
                self.assertEqual(sorted(status for status, _ in ended), [0, 75], ended)
                (said,) = [text for status, text in ended if status == 75]
                self.assertRegex(said, "held by deploy [0-9]{8}T[^ ]* of ")
                self.assertEqual(answer(deploy), f"v{number}")
                states = sorted(each["state"] for each in deploy.history() if each["operation"] not in before)
                self.assertEqual([state for state in states if state != "busy"], ["good"], states)

    def test_a_deploy_and_a_rollback(self):
        with self.served() as deploy:
            for number in range(3):
                deploy.deploy["hooks"] = {}
                deploy.version(f"old{number}")
                deploy.deployed()
                # Long enough for the other one to come to the lock.
                deploy.deploy["hooks"] = {"before-activate": [["sleep", "2"]]}  # SLEEPS
                deploy.version(f"new{number}")
                before = answer(deploy)
                ended = self.both(deploy, ["deploy"], ["rollback"])
                self.assertEqual(sorted(status for status, _ in ended), [0, 75], ended)
                (said,) = [text for status, text in ended if status == 75]
                self.assertRegex(said, "held by (deploy|rollback) [0-9]{8}T[^ ]* of ")
                if ended[0][0] == 0:
                    self.assertEqual(answer(deploy), f"new{number}")
                else:
                    self.assertNotIn(answer(deploy), (f"new{number}", before))
                self.assertIn("nothing was left over", deploy.baton("recover").stdout)


@within(60)
class Fetches(Served):
    def test_one_that_hangs_is_ended(self):
        with self.served() as deploy, socket.create_server(("127.0.0.1", 0)) as silent:
            deploy.deploy |= {"repository": f"git://127.0.0.1:{silent.getsockname()[1]}/shop.git", "fetch-timeout": "1s"}
            self.assertLess(self.refused(deploy, says="cannot be asked"), 30)

    def test_one_that_hangs_ends_when_a_person_says_so(self):
        with self.served() as deploy, socket.create_server(("127.0.0.1", 0)) as silent:
            deploy.deploy["repository"] = f"git://127.0.0.1:{silent.getsockname()[1]}/shop.git"
            asker = deploy.start("deploy", "--foreground")
            wait_until(lambda: deploy.operations() and deploy.hosts(), 10, "the operation")
            silent.settimeout(20)
            silent.accept()
            asker.send_signal(signal.SIGINT)
            _, said = asker.communicate(timeout=20)
            self.assertEqual(asker.returncode, 1, said)
            deploy.wait_idle()
            self.assertEqual(self.state(deploy), self.before, said)


if __name__ == "__main__":
    unittest.main()
