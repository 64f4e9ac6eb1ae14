"""Somebody sets the clock: nothing waits for what the old one said."""

from fake_ca import Reply
from harness import Case, document
from processes import wait_until

HOUR, YEAR = 3600, 365 * 86400


class Clock(Case):
    def clocked(self, before=None, after=None):
        return self.pair(document(["a.test"]), {"acme_poll_interval": "1"}, before, after)

    def check_polls(self, ahead):
        """The clock is set while an order polls: it goes on at its pace, and comes to its end."""
        polls = []

        def after(request, reply):
            if request.kind == "order" and request.payload is None:
                polls.append(request.at)
                if len(polls) == 3:
                    s.set_clock(ahead)
                if len(polls) < 6:
                    reply.set_json({**reply.json, "status": "pending"})
            return reply

        ca, s = self.clocked(after=after)
        s.start(environment=s.clocked())
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

        _, s = self.clocked(before)
        s.set_clock(YEAR)
        s.start(environment=s.clocked())
        s.wait_state("a.test", "failing")
        s.set_clock(0)
        s.wait_state("a.test", "valid")
        wait_until("it is said", lambda: s.events("clock_jumped"))
