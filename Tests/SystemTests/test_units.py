"""The units this project ships, as systemd reads them."""

from on_machine import FIXTURE, UNITS, WithUnits


class Units(WithUnits):
    """The units this project ships."""

    def test_systemd_has_nothing_to_say_about_them(self):
        for name in (
            "baton@.service", "baton@.socket", "baton-deploy@.service", "baton-bake@.service", "baton-recover.service",
        ):  # fmt: skip
            said = self.machine.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{name}", check=False)
            self.assertEqual((said.returncode, said.stdout + said.stderr), (0, ""), name)

    def test_the_security_figure_is_the_one_that_is_written_down(self):
        said = self.machine.run(
            "systemd-analyze", "security", "--offline=yes", "--no-pager", "/etc/systemd/system/baton@.service"
        ).stdout
        figure = said.split("Overall exposure level for")[1].split(":")[1].split()[0]
        text = (UNITS.parent / "docs/units.md").read_text()
        self.assertIn(f"| {self.machine.systemd_version()} | {figure} |", text)

    def test_the_catalog_is_read(self):
        self.machine.write("/usr/lib/systemd/catalog/baton.catalog", (UNITS / "baton.catalog").read_text())
        self.machine.run("journalctl", "--update-catalog")
        self.machine.run(FIXTURE, "log", "explained", "1")
        self.machine.run("journalctl", "--sync")
        shown = self.machine.run(
            "journalctl", "-x", "--no-pager", "-n", "1", "MESSAGE_ID=2898f49e69bac4daabc38942ba7fea33"
        ).stdout
        self.assertIn("a command of a shutdown stage of", shown)
        self.assertIn("man:batond(8)", shown)

    def test_the_group_and_the_directories_are_made(self):
        for kind, folder in (("sysusers", "sysusers.d"), ("tmpfiles", "tmpfiles.d")):
            self.machine.write(f"/usr/lib/{folder}/baton.conf", (UNITS / f"baton.{kind}.conf").read_text())
        self.machine.run("systemd-sysusers")
        self.machine.run("systemd-tmpfiles", "--create")
        self.assertIn("baton:", self.machine.run("getent", "group", "baton").stdout)
        self.assertEqual(
            set(self.machine.run("id", "-nG", "baton-deploy").stdout.split()), {"baton-deploy", "baton", "systemd-journal"})
        for folder in ("/etc/baton", "/run/baton", "/var/lib/baton", "/var/lib/baton-deploy"):
            self.assertTrue(self.machine.path(folder).is_dir(), folder)
