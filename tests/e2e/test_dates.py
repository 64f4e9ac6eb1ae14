"""Dates that are odd: certificates too old or too new, waits without end, a clock that is wrong."""

import os
import subprocess
import time

import processes
from harness import Case, declared, document
from scripted_ca import ScriptedCa, pem
from test_foretold import BEGIN, DAY, Clock, seconds_of
from test_override import fingerprint_of

HOUR, YEAR = 3600, 365 * DAY


class Dates(Case):
    def begin(self, lifetime=90 * DAY):
        """A server and a CA under one clock, which only goes on when the test says so."""
        self.clock = Clock(self.folder)
        self.away = False
        folder = os.path.join(self.folder, "ca")
        self.ca = self.keep(ScriptedCa(folder, lambda: self.clock.now, lifetime, lambda: self.away))
        self.s = self.server(document(["a.test"]), self.ca, {"acme_poll_interval": "1"})

    def start(self):
        self.s.start(environment={**self.s.clocked(), "FAULT_NOW": self.clock.path})

    def pair_from(self, name, ahead, lifetime):
        """(certificate, key) that begins so many seconds from now."""
        def ask(*command, **options):
            return subprocess.run(["openssl", *command], check=True, capture_output=True, **options).stdout
        key = ask("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.ca.ahead = ahead
        return pem(self.ca._certify(name, ask("pkey", "-pubout", "-outform", "DER", input=key), [name], lifetime)), key.decode()

    def now(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now))

    def wait_next(self, reason, state, name="a.test"):
        """Until the name waits for that reason; when it is looked at next."""
        def look():
            c = self.s.certificates().get(name)
            return c and c["next"]["because"]["reason"] == reason and c["state"] == state and c
        return seconds_of(processes.wait_until(f"{name} waits: {reason}, {state}", look, 20, 0.05)["next"]["at"])

    def conditions(self):
        return {c["condition"]: c for c in self.s.status_json()["conditions"]}

    def wait_condition(self, name):
        return processes.wait_until(name, lambda: self.conditions().get(name), 20, 0.05)

    def wait_cleared(self, name):
        processes.wait_until(f"{name} has passed", lambda: name not in self.conditions(), 20, 0.05)

    def check_ladder(self, state):
        self.start()
        for count, least in enumerate((60, 540, 5400, 77760), 1):
            at = self.wait_next("needless", state)
            self.assertEqual(count, len(self.ca.sent_orders))
            wait = at - self.clock.now
            self.assertTrue(least <= wait <= least * 11 / 9 + 6, wait)
            if count == 2:  # it survives
                self.s.kill()
                self.start()
            self.assertEqual(at, self.wait_next("needless", state))
            self.assertEqual(("fault", count), (self.wait_condition("certificates_needless")["level"],
                                                self.s.certificates()["a.test"]["failures"]))  # fmt: skip
            self.clock.set(at)

    def test_due_when_issued(self):
        self.begin()
        self.ca.ahead = -70 * DAY
        self.check_ladder("due")
        self.assertIn("in vain at ", self.s.verb("explain", "a.test").stdout)

    def test_expired_when_issued(self):
        self.begin()
        self.ca.ahead = -100 * DAY
        self.check_ladder("failing")

    def test_needless_passes(self):
        self.begin()
        self.ca.ahead = -70 * DAY
        self.start()
        at = self.wait_next("needless", "due")
        self.wait_condition("certificates_needless")
        self.ca.ahead = 0
        self.clock.set(at)
        self.wait_next("not_due", "valid")
        self.assertEqual(0, self.s.certificates()["a.test"]["failures"])
        self.wait_cleared("certificates_needless")

    def test_the_next_begins_later(self):
        """It is kept, over a crash and without the CA, and takes its place when it begins."""
        self.begin(10 * DAY)
        self.start()
        self.clock.set(self.wait_next("not_due", "valid"))
        self.ca.ahead = HOUR
        first = self.s.fingerprint("a.test")
        begins = self.wait_next("next_in_hand", "valid")
        self.assertEqual(self.clock.now + HOUR, begins)
        self.assertEqual(first, self.s.fingerprint("a.test"))
        (told,) = self.s.diff("--now=" + self.now())["actions"]
        self.assertEqual(("keep", "next_in_hand"), (told["action"], told["because"]["reason"]))
        self.ca.stop()
        self.s.kill()
        self.start()
        self.assertEqual(begins, self.wait_next("next_in_hand", "valid"))
        self.assertEqual(first, self.s.fingerprint("a.test"))
        self.clock.set(begins)
        self.s.wait_fingerprint("a.test", lambda f: f != first)
        self.wait_next("not_due", "valid")
        self.assertEqual(2, len(self.ca.sent_orders))

    def test_the_first_begins_later(self):
        """There is nothing else: it is served, and nothing more is ordered until it begins."""
        self.begin()
        self.ca.ahead = HOUR
        self.start()
        begins = self.wait_next("not_yet_valid", "pending")
        self.assertEqual(self.clock.now + HOUR, begins)
        self.assertEqual(self.s.certificates()["a.test"]["fingerprint"], self.s.fingerprint("a.test"))
        told = self.s.verb("explain", "a.test", "--now=" + self.now()).stdout
        self.assertIn("although it is not valid before", told)
        self.clock.set(begins)
        self.wait_next("not_due", "valid")
        self.assertEqual(1, len(self.ca.sent_orders))

    def test_asked_to_wait_for_ten_years(self):
        self.begin(10 * DAY)
        self.start()
        self.clock.set(self.wait_next("not_due", "valid"))
        self.away, self.ca.retry_after = True, 10 * YEAR
        ends = seconds_of(self.s.certificates()["a.test"]["not_after"])
        at = self.wait_next("rate_limited", "failing")
        self.assertTrue(ends - 2 * DAY < at < ends - DAY / 2, ends - at)
        asked = self.wait_condition("retry_after_cut")["text"]
        self.assertIn("2040-03-", asked)
        self.assertIn("2040-03-", self.s.certificates()["a.test"]["next"]["because"]["text"])
        self.clock.set(at)
        again = processes.wait_until("it is tried again", lambda: len(self.ca.sent_orders) == 3 and
                                     self.s.certificates()["a.test"]["failures"] == 2 and
                                     seconds_of(self.s.certificates()["a.test"]["next"]["at"]), 20)  # fmt: skip
        self.assertTrue(at < again < ends)
        self.away = False
        self.clock.set(again)
        self.wait_next("not_due", "valid")
        self.wait_cleared("retry_after_cut")

    def test_asked_at_the_directory(self):
        """Before there is any certificate: a day is the most."""
        self.begin()
        told = []

        def directory(request):
            told.append(request)
            reply = ScriptedCa._directory(self.ca, request)
            if len(told) < 3:
                reply.status, reply.headers["Retry-After"] = 503, str(10 * YEAR)
            return reply

        self.ca._directory = directory
        self.start()
        at = self.wait_next("rate_limited", "failing")
        self.assertEqual(BEGIN + DAY, at)
        self.clock.set(at)
        processes.wait_until("it is asked again", lambda: len(told) > 1, 20)
        self.clock.set(self.wait_next("rate_limited", "failing"))
        self.clock.set(self.clock.now + DAY)
        self.wait_next("not_due", "valid")

    def test_clock_before_the_build(self):
        """Nothing is ordered, retired or taken for expired; what was served is served."""
        self.begin()
        self.start()
        self.wait_next("not_due", "valid")
        first = self.s.fingerprint("a.test")
        self.s.stop()
        self.clock.set(1_000_000_000)
        self.s.write(document(["b.test"]))
        self.start()
        self.assertEqual("fault", self.wait_condition("clock_wrong")["level"])
        self.wait_next("clock", "pending", "b.test")
        self.assertEqual(first, self.s.fingerprint("a.test"))
        self.assertEqual(1, len(self.ca.sent_orders))
        self.clock.set(BEGIN + DAY)
        self.wait_next("not_due", "valid", "b.test")
        self.wait_cleared("clock_wrong")

    def test_more_than_can_be_explained(self):
        """What failed in the future is tried at once: a clock that goes back and back would order for ever."""
        self.begin()
        names, ordered = [f"n{i}.test" for i in range(50)], self.ca.sent_orders
        bound = 3 * len(names) + 20
        self.s.write(document(names))
        self.away = True
        self.start()
        for sent in (50, 100, 150, bound):
            processes.wait_until(f"{sent} are sent", lambda sent=sent: len(ordered) >= sent, 30, 0.05)
            processes.wait_until("nothing is under way", lambda: "order_open" not in
                                 {c["next"]["because"]["reason"] for c in self.s.certificates().values()}, 30)  # fmt: skip
            if sent < bound:
                self.clock.set(self.clock.now - 600)
        stopped = self.wait_condition("orders_stopped")
        self.assertEqual("fault", stopped["level"])
        self.assertIn(f"{bound} orders within an hour, and names and failures explain {bound}", stopped["text"])
        self.assertIn("breaker", {c["next"]["because"]["reason"] for c in self.s.certificates().values()})
        self.assertEqual(bound, len(ordered))
        self.away = False
        self.clock.set(self.clock.now + 2 * DAY)  # the wait of the fourth failure
        for name in names:
            self.wait_next("not_due", "valid", name)
        self.wait_cleared("orders_stopped")

    def test_declared(self):
        """A certificate of the file that is not valid gives way to a wildcard's that is, while that lasts."""
        self.begin()
        exact, wild = self.pair_from("a.b.test", HOUR, DAY), self.pair_from("*.b.test", -HOUR, 9 * DAY)
        both = [declared("a.b.test", pair=exact), declared("*.b.test", pair=wild)]
        self.s.write(document(certificates=both))
        self.start()

        def check(served, told):
            self.s.wait_fingerprint("a.b.test", lambda seen: seen == fingerprint_of(served[0]))
            said = self.s.verb("explain", "a.b.test", "--now=" + self.now()).stdout
            self.assertIn(told or "the certificate declared for this very name (", said)

        check(wild, "is not valid before 2030-03-17T18:46:40Z")
        self.assertEqual("note", self.wait_condition("certificate_not_valid")["level"])
        self.clock.set(BEGIN + HOUR)
        check(exact, "")
        self.wait_cleared("certificate_not_valid")
        self.clock.set(BEGIN + HOUR + DAY)
        check(wild, "expired at 2030-03-18T18:46:39Z")
        self.wait_condition("certificate_not_valid")
        [expired] = self.s.events("declared_certificate_expired")
        self.assertRegex(expired["at"], r"kong\.yaml:\d+:\d+$")
        self.assertEqual("2030-03-18T18:46:39Z", expired["not_after"])
        self.s.write(document(certificates=both[:1]))  # all there is
        check(exact, "although it expired at ")
