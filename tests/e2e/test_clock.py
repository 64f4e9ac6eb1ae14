"""Somebody sets the clock: nothing waits for what the old one said."""

import os

import server
from fake_ca import Reply
from harness import Case, document
from processes import wait_until

HOUR, YEAR = 3600, 365 * 86400


class Clock(Case):
    def clocked(self, before=None, after=None):
        """A pair whose clock `self.set_clock` sets."""
        self.clock = os.path.join(self.folder, "clock")
        ca, s = self.pair(document(["a.test"]), {"acme_poll_interval": "1"}, before, after)
        environment = {
            "LD_PRELOAD": server.FAULTS,
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
            "FAULT_CLOCK": self.clock,
        }
        return ca, s, environment

    def set_clock(self, ahead):
        with open(self.clock + ".new", "w", encoding="ascii") as f:
            f.write(str(ahead))
        os.rename(self.clock + ".new", self.clock)

    def check_polls(self, ahead):
        """The clock is set while an order polls: it goes on at its pace, and comes to its end."""
        polls = []

        def after(request, reply):
            if request.kind == "order" and request.payload is None:
                polls.append(request.at)
                if len(polls) == 3:
                    self.set_clock(ahead)
                if len(polls) < 6:
                    reply.set_json({**reply.json, "status": "pending"})
            return reply

        ca, s, environment = self.clocked(after=after)
        s.start(environment=environment)
        s.wait_state("a.test", "valid")
        self.assertEqual(1, ca.orders())
        self.assertEqual(0, s.certificates()["a.test"]["failures"])

    def test_back_during_an_order(self):
        self.check_polls(-HOUR)

    def test_forward_during_an_order(self):
        self.check_polls(HOUR)

    def test_failure_in_the_future(self):
        """It failed while the clock was a year ahead: that is no reason to wait for a year."""

        def before(request):
            if request.kind == "new-order" and request.count == 1:
                return Reply.problem(500, "serverInternal", "not now")
            return None

        ca, s, environment = self.clocked(before)
        self.set_clock(YEAR)
        s.start(environment=environment)
        s.wait_state("a.test", "failing")
        self.set_clock(0)
        s.wait_state("a.test", "valid")
        wait_until("it is said", lambda: s.events("clock_jumped"))
