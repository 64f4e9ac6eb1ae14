"""A storage that cannot hold what would be ordered: nothing is ordered."""

import json
import os
import shutil
import subprocess
import tempfile

import server
import vanish
from harness import Case, declared, document
from processes import wait_until


class Unusable(Case):
    def faulty(self, word, below="/storage", how="FAULT_ERROR"):
        """A server whose disk fails with `word` as long as the flag is there."""
        flag = os.path.join(self.folder, "flag")
        ca, s = self.pair(document(["a.test"], certificates=[declared("d.test")]))
        s.start()  # keys and the first files are made while all is well
        s.wait_valid(["a.test"])
        s.stop()
        environment = {
            "LD_PRELOAD": server.FAULTS,
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
            "FAULT_PATH": s.prefix + below,
            how: flag,
        }
        s.start(environment=environment)
        with open(flag, "w", encoding="ascii") as f:
            f.write(word)
        return ca, s, flag

    def test_disk_that_stands_still(self):
        """For as long as it likes: reloads, handshakes and status go on, and nothing is ordered."""
        ca, s, flag = self.faulty("", below="", how="FAULT_STALL")
        before = s.fingerprint("a.test")
        for name in ("e.test", "f.test", "g.test"):
            s.write(document(["a.test", "b.test"], certificates=[declared("d.test"), declared(name)]))
            wait_until("it is in force", lambda name=name: s.fingerprint(name) != s.fingerprint("nobody.test"))
            self.assertEqual(before, s.fingerprint("a.test"))
            self.assertEqual("pending", s.state("b.test"))
        self.assertEqual(1, ca.handled()["new-order"])
        self.assertEqual([], s.events("control_silent"))
        os.unlink(flag)
        s.wait_state("b.test", "valid", bound=90)
        self.assertEqual(2, ca.handled()["new-order"])
        s.write("_format_version: [")
        wait_until("it is refused", lambda: s.events("config_problem"))
        s.stop()
        s.start(["--set", "acme_start_with_last_good=on"])
        self.assertNotEqual(s.fingerprint("nobody.test"), s.fingerprint("g.test"))

    def check(self, word, text):
        ca, s, flag = self.faulty(word)
        s.write(document(["a.test", "b.test"], certificates=[declared("d.test")]))
        said = wait_until("it is a condition", lambda: s.status_json()["conditions"])
        self.assertIn(text, json.dumps(said))
        self.assertEqual(1, ca.handled()["new-order"], "found before any order is sent")
        entry = s.certificates()["b.test"]
        self.assertEqual("issue", entry["next"]["action"])
        self.assertEqual("storage", entry["next"]["because"]["reason"])
        s.fingerprint("a.test")
        os.unlink(flag)
        s.wait_state("b.test", "valid", bound=90)
        self.assertEqual([], s.status_json()["conditions"])

    BOUND = 240

    def test_full_disk(self):
        self.check("ENOSPC", "No space left")

    def test_read_only_disk(self):
        self.check("EROFS", "Read-only")

    def test_broken_disk(self):
        self.check("EIO", "nput/output")

    def test_real_full_disk(self):
        """The same on a file system that really has no room left."""
        s, ca = None, None
        ca, s = self.pair(document(["a.test"]))
        os.makedirs(s.prefix, exist_ok=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", s.prefix],
            capture_output=True, check=False,
        )  # fmt: skip
        if made.returncode:
            self.skipTest("mounting a tmpfs is not allowed here")
        try:
            s.start()
            s.wait_valid(["a.test"])
            with open(os.path.join(s.prefix, "ballast"), "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 4096):
                        continue
                except OSError:
                    pass  # full now
            s.write(document(["a.test", "b.test"]))
            wait_until("it is a condition", lambda: s.status_json()["conditions"])
            self.assertEqual(1, ca.handled()["new-order"])
            os.unlink(os.path.join(s.prefix, "ballast"))
            s.wait_state("b.test", "valid", bound=90)
        finally:
            s.kill()
            subprocess.run(["umount", "-l", s.prefix], check=False)

    def test_start_on_a_read_only_disk(self):
        """What is there is served; what is not is not ordered."""
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        s.stop()
        done = subprocess.run(["mount", "--bind", s.prefix, s.prefix], capture_output=True, check=False)
        if done.returncode:
            self.skipTest("mounting is not allowed here")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", s.prefix], check=True)
            s.write(document(["a.test", "b.test"]))
            s.start()
            self.assertEqual(before, s.fingerprint("a.test"))
            wait_until("it is said", lambda: "Read-only" in s.log_text())
            wait_until("it is seen", lambda: self.reason(s, "b.test") == "storage")
            self.assertEqual(1, ca.handled()["new-order"])
        finally:
            s.kill()
            subprocess.run(["umount", "-l", s.prefix], check=False)

    def reason(self, s, name):
        return s.certificates()[name]["next"]["because"]["reason"]


class Vanishing(Case):
    """A prefix that is deleted, moved, cut or replaced under a running server."""

    BOUND = 240

    def second(self, s):
        """What another server on the same prefix comes to."""
        other = self.server(document([]), settings={"prefix": s.prefix}, name="second")
        other.spawn()
        code = other.process.wait(20)
        return code, other.log_text()

    def test_written_anew(self):
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        for n, (way, happen) in enumerate(vanish.WAYS.items(), 1):
            with self.subTest(way):
                happen(s.prefix)
                wait_until("it is noticed", lambda: len(s.events("storage_written_anew")) == n)
                wait_until("it is over", lambda: len(s.events("condition_cleared")) == n)
                self.assertEqual([], s.status_json()["conditions"], "control.sock is there again")
                code, said = self.second(s)
                self.assertEqual(1, code)
                self.assertIn(f"process {s.control} uses {s.prefix}", said)
        s.write(document(["a.test", "b.test"]))
        s.wait_valid(["b.test"])
        s.stop()
        s.start()
        s.wait_valid(["a.test", "b.test"])
        self.assertEqual(before, s.fingerprint("a.test"))
        self.assertEqual(2, ca.handled()["new-order"])

    def test_in_the_middle_of_a_batch(self):
        """What is under way waits until all is written anew: nothing is ordered twice."""

        def before(request):
            if request.kind == "new-order" and request.count in (1, 5):
                vanish.WAYS["moved"](s.prefix)

        names = [f"n{i}.test" for i in range(10)]
        ca, s = self.pair(document(names), before=before)
        s.start()
        s.wait_valid(names)
        self.assertTrue(s.events("storage_written_anew"))
        s.stop()
        s.start()
        s.wait_valid(names)
        self.assertEqual([], s.events("certificate_failed"))
        self.assertEqual(len(names), ca.behind.handled()["new-order"])

    def test_place_taken(self):
        """What cannot be written anew is a condition, and nothing is ordered until it can."""
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        os.rename(s.prefix, s.prefix + ".moved")
        with open(s.prefix, "wb"):
            pass  # no folder can be made there
        said = wait_until("it is a condition", lambda: s.ask_status("/certificates").json["conditions"])
        self.assertEqual(["storage_unusable"], [c["condition"] for c in said])
        s.write(document(["a.test", "b.test"]))
        s.wait_state("b.test", "pending", "blocked")
        self.assertEqual("storage", s.certificates()["b.test"]["next"]["because"]["reason"])
        self.assertEqual(1, ca.handled()["new-order"])
        os.unlink(s.prefix)
        os.rename(s.prefix + ".moved", s.prefix)
        s.wait_valid(["b.test"])
        self.assertEqual([], s.status_json()["conditions"])

    def test_others_may_write(self):
        s = self.server(document([]))
        s.start()
        self.assertEqual([], s.status_json()["conditions"])
        os.chmod(s.prefix, 0o777)
        (told,) = wait_until("it is told", lambda: s.status_json()["conditions"])
        self.assertEqual(("prefix_writable_by_others", "note"), (told["condition"], told["level"]))
        self.assertIn(f"may write {s.prefix} (mode 0777", told["text"])
        os.chmod(s.prefix, 0o700)
        wait_until("it is over", lambda: not s.status_json()["conditions"])


class Kinds(Case):
    CONFIGS = {
        "redis": {"storage_config": {"redis": {"host": "127.0.0.1"}}},
        "consul": {"storage_config": {"consul": {"host": "127.0.0.1"}}},
        "vault": {"storage_config": {"vault": {"host": "127.0.0.1"}}},
    }

    def test_other_kinds_are_for_dry_runs(self):
        for kind, extra in self.CONFIGS.items():
            with self.subTest(kind):
                text = document(["a.test"], {"storage": kind, **extra})
                s = self.server(text, name=kind)
                self.assertEqual(0, s.verb("check").returncode)
                self.assertEqual("a.test", s.diff()["actions"][0]["name"])
                s.spawn()
                self.assertEqual(1, s.process.wait(20))
                self.assertIn(f'storage "{kind}" is not in this build yet', s.log_text())


class Fleeting(Case):
    @staticmethod
    def kind_of(folder):
        done = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def test_memory(self):
        """A prefix that is gone with the machine is told of, once."""
        if self.kind_of("/dev/shm") != "tmpfs":
            self.skipTest("/dev/shm is no tmpfs")
        folder = tempfile.mkdtemp(prefix="reconcert-e2e-", dir="/dev/shm")
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder)
        prefix = os.path.join(folder, "prefix")
        s = self.server(document([]), settings={"prefix": prefix}).start()
        (told,) = s.events("prefix_fleeting")
        self.assertEqual("warn", told["level"])
        self.assertIn(f"the prefix {prefix} lies on tmpfs", told["text"])
        os.kill(s.control, 9)
        wait_until("control is back", lambda: s.log_text().count("config_loaded") == 2)
        self.assertEqual(1, len(s.events("prefix_fleeting")))
        s.stop()
