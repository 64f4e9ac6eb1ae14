"""`reconcert retry`: the wait that failures brought is taken off by hand."""

import json
import os

import server
from fake_ca import Reply
from harness import Case, document

HOUR = 3600


class Retry(Case):
    def setUp(self):
        super().setUp()
        self.refused = set()

    def before(self, request):
        """The CA refuses the names in self.refused, and asks to wait for an hour."""
        if request.kind == "new-order" and self.refused.intersection(request.names):
            return Reply.problem(429, "rateLimited", "not now", Retry_After=str(HOUR))
        return None

    def failed(self, *names, limits=None):
        self.refused.update(names)
        ca, s = self.pair(document(["a.test", "b.test"]), before=self.before)
        if limits:
            s.write_settings(acme_limits=f"{ca.url} {limits}")
        s.start()
        for name in names:
            s.wait_state(name, "failing")
        return ca, s

    def test_one_name(self):
        ca, s = self.failed("a.test", "b.test")
        self.refused.clear()
        done = s.verb("retry", "A.test.")
        self.assertEqual((0, "a.test: an order is under way\n", ""),
                         (done.returncode, done.stdout, done.stderr))  # fmt: skip
        s.wait_valid(["a.test"])
        [asked] = s.events("retry_asked")
        self.assertEqual(("a.test", "1"), (asked["name"], asked["failures"]))
        self.assertEqual("failing", s.state("b.test"), "nobody asked for it")
        done = s.verb("retry", "a.test")
        self.assertEqual(0, done.returncode)
        self.assertRegex(done.stdout, "^a.test: nothing failed: valid until ")
        done = s.verb("retry", "c.test")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("c.test: the server knows of nothing that asks for it", done.stderr)

    def test_all_that_failed(self):
        """What fails again is counted on, and waits as the CA says."""
        ca, s = self.failed("a.test", "b.test")
        self.refused.discard("b.test")
        done = s.verb("retry", "--all", "--format", "json")
        page = json.loads(done.stdout)
        self.assertEqual((0, 1), (done.returncode, page["format"]))
        self.assertEqual(
            [("a.test", "order_open"), ("b.test", "order_open")],
            [(c["name"], c["next"]["because"]["reason"]) for c in page["certificates"]],
        )
        s.wait_valid(["b.test"])
        server.processes.wait_until(
            "it fails again", lambda: s.certificates()["a.test"]["failures"] == 2
        )
        self.assertEqual("rate_limited", s.certificates()["a.test"]["next"]["because"]["reason"])
        self.assertEqual(2, len(s.events("certificate_failed")) - 1)

    def test_within_the_limits(self):
        """A try that the CA's limits do not let through waits for them, and says so."""
        ca, s = self.failed("a.test", "b.test", limits="orders=2/3h")
        self.refused.clear()
        done = s.verb("retry", "a.test")
        self.assertRegex(done.stdout, "^a.test: it does not fit the CA's limits before ")
        self.assertEqual(2, ca.orders())

    def test_without_a_server(self):
        """The next server tries at once; explain tells meanwhile why."""
        ca, s = self.failed("a.test")
        s.stop()
        done = s.verb("retry", "--all")
        self.assertEqual((0, "a.test: no server is running; the next one tries it at once\n"),
                         (done.returncode, done.stdout))  # fmt: skip
        told = s.verb("explain", "a.test").stdout
        self.assertRegex(told, "somebody asked for another try at once")
        self.assertRegex(told, "next +issue now")
        self.refused.clear()
        s.start()
        s.wait_valid(["a.test"])

    def test_nobody_else_may(self):
        """It is asked for over the socket in the prefix, not at the status listener."""
        ca, s = self.failed("a.test")
        asked = server.ask(s.status, "/retry", method="POST")
        self.assertEqual(404, asked.status)
        for words in ((), ("a.test", "--all"), ("a b",)):
            self.assertEqual(64, s.verb("retry", *words).returncode, words)
        elsewhere = os.path.join(self.folder, "nothing")
        done = server.verb("retry", "--all", "--set", f"prefix={elsewhere}")
        self.assertEqual((1, False), (done.returncode, os.path.exists(elsewhere)))
        self.assertIn("no server is running with prefix", done.stderr)

    def test_an_account_that_cannot_be_used(self):
        """One condition from the first failure until the CA answers, however often it is tried."""
        broken = [True]

        def before(request):
            if request.kind == "directory" and broken[0]:
                return Reply.problem(503, "serverInternal", "down", Retry_After=str(HOUR))
            return None

        ca, s = self.pair(document(["a.test"]), before=before)
        s.start()
        s.wait_state("a.test", "failing")
        for _ in range(2):
            tried = len(ca.of_kind("directory"))
            self.assertEqual(0, s.verb("retry", "--all").returncode)
            server.processes.wait_until(
                "it is tried again", lambda: len(ca.of_kind("directory")) > tried
            )
            count = len(s.events("certificate_failed"))
            server.processes.wait_until(
                "it fails again", lambda: len(s.events("certificate_failed")) > count - 1
            )
        self.assertEqual(
            (["account_unusable"], []),
            ([e["condition"] for e in s.events("condition_set")], s.events("condition_cleared")),
        )
        broken[0] = False
        s.wait_state("a.test", "failing")
        s.verb("retry", "--all")
        s.wait_valid(["a.test"])
        self.assertEqual([], s.status_json()["conditions"])
