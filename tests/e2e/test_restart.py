"""What outlives a restart, and who may not run beside whom."""

import os
import stat

import processes
import server
from fake_ca import Reply
from harness import Case, declared, document
from processes import wait_until


class Restart(Case):
    def test_orders_nothing(self):
        names = ["a.test", "b.test", "c.test"]
        ca, s = self.pair(document(names))
        s.start()
        s.wait_valid(names)
        before = {name: s.fingerprint(name) for name in names}
        self.assertEqual(0, s.stop())
        asked = ca.handled()
        s.start()
        self.assertEqual(before, {name: s.fingerprint(name) for name in names})
        s.wait_valid(names)
        more = ca.handled() - asked
        self.assertFalse(set(more) - {"directory", "nonce"}, "nothing is ordered")

    def test_without_a_ca(self):
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        s.stop()
        ca.stop()
        s.start(bound=5)
        self.assertEqual(before, s.fingerprint("a.test"))
        self.assertEqual("valid", s.state("a.test"))

    def test_power_cut(self):
        ca, s = self.pair(document(["a.test", "b.test"]))
        s.start()
        s.wait_valid(["a.test", "b.test"])
        before = s.fingerprint("b.test")
        s.kill()
        s.start()
        s.wait_valid(["a.test", "b.test"])
        self.assertEqual(before, s.fingerprint("b.test"))
        self.assertEqual(2, ca.handled()["new-order"])

    def test_supervisor_killed(self):
        """Its children leave, and the next start finds ports and prefix free."""
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        family = processes.tree_of(s.process.pid)
        s.process.kill()
        s.process.wait()
        wait_until("all leave", lambda: not any(map(processes.is_running, family)), 10)
        s.start()
        self.assertEqual("valid", s.state("a.test"))

    def test_account_is_found_again(self):
        """The account's URL is stored: a name that is added after a restart needs no newAccount."""
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        s.stop()
        accounts = ca.handled()["account"]
        s.write(document(["a.test", "b.test"]))
        s.start()
        s.wait_valid(["b.test"])
        self.assertEqual(accounts, ca.handled()["account"])

    def test_backoff_is_kept(self):
        """A restart is no reason to ask a CA sooner that has refused, nor is an unrelated edit."""

        def before(request):
            if request.kind == "new-order" and "late.test" in request.names:
                return Reply.problem(500, "serverInternal", "not now")
            return None

        ca, s = self.pair(document(["late.test"]), before=before)
        s.start()
        failed = s.wait_state("late.test", "failing")
        s.kill()
        s.start()
        again = s.wait_state("late.test", "failing")
        self.assertEqual(failed["next"], again["next"])
        self.assertEqual(("not now" in again["last_error"], 1), (True, again["failures"]))
        s.write(document(["late.test", "other.test"]))
        s.wait_valid(["other.test"])
        self.assertEqual(failed["next"], s.certificates()["late.test"]["next"])
        self.assertEqual(1, ca.orders("late.test"))

    def test_refusal_for_good_is_kept_until_the_file_changes(self):
        def before(request):
            if request.kind == "new-order" and ca.orders("no.test") == 1:
                return Reply.problem(403, "caa", "forbidden")
            return None

        ca, s = self.pair(document(["no.test"]), before=before)
        s.start()
        s.wait_state("no.test", "blocked")
        s.stop()
        s.start()
        self.assertEqual("blocked", s.state("no.test"))
        self.assertEqual(1, ca.orders("no.test"))
        s.write(document(["no.test"], {"account_email": "other@example.com"}))
        s.wait_state("no.test", "valid")

    def test_modes(self):
        ca, s = self.pair(document(["a.test"]))
        old = os.umask(0)
        try:
            s.start()
        finally:
            os.umask(old)
        s.wait_valid(["a.test"])
        for folder, folders, files in os.walk(s.prefix):
            for name in folders + files:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                if not stat.S_ISLNK(mode):
                    self.assertEqual(0, stat.S_IMODE(mode) & 0o077, name)
        self.assertEqual(0o700, stat.S_IMODE(os.stat(s.prefix).st_mode))


class Beside(Case):
    def test_second_on_one_prefix(self):
        first = self.server(document(certificates=[declared("d.test")]))
        first.start()
        second = self.server(document([]), settings={"prefix": first.prefix}, name="second")
        second.spawn()
        self.assertEqual(1, second.process.wait(20))
        pids = processes.tree_of(first.process.pid)
        self.assertTrue(any(str(pid) in second.log_text() for pid in pids), second.log_text())
        first.fingerprint("d.test")

    def test_second_on_one_port(self):
        first = self.server(document(certificates=[declared("d.test")]))
        first.start()
        second = self.server(document([]), name="second", ports=(first.plain, first.tls))
        second.spawn()
        self.assertNotEqual(0, second.process.wait(20))
        self.assertIn("in use", second.log_text())
        holder = f"{first.plain} is held by reconcert (process {first.process.pid})"
        self.assertIn(holder, second.log_text())
        for _ in range(20):
            first.fingerprint("d.test")

    def test_verbs_beside_a_server(self):
        """check, diff and explain take no lock."""
        s = self.server(document(["a.test"], certificates=[declared("d.test")]))
        s.start()
        for arguments in (["check"], ["diff"], ["explain", "d.test"], ["status"]):
            done = s.verb(*arguments)
            self.assertEqual((0, arguments), (done.returncode, arguments), done.stderr)

    def test_status_without_a_server(self):
        s = self.server(document([]))
        done = s.verb("status")
        self.assertEqual(1, done.returncode)
        self.assertTrue(done.stderr)

    def test_default_certificate_is_made_once(self):
        s = self.server(document([]))
        s.start()
        before = s.fingerprint()
        s.stop()
        s.start()
        self.assertEqual(before, s.fingerprint())
        facts = server.subprocess.run(
            ["openssl", "x509", "-inform", "DER", "-noout", "-subject"],
            input=s.shake_hands().der, capture_output=True, check=True,
        )  # fmt: skip
        self.assertIn("localhost", facts.stdout.decode())
