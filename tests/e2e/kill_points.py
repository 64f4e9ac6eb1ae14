"""kill -9 of control at each step of an order: used by test_kill.py and, ten times each, by the soak."""

import os
import signal

import server
from harness import document

CA_STEPS = ["account", "new-order", "authorization", "challenge", "order", "finalize", "certificate"]
INSTANTS = ["asked", "done", "answered"]  # before the CA knows; before we know; right after
WHENS = ["before", "after", "torn"]  # around an operation on the disk


class CaKill:
    """Kills control at the first request of `step`."""

    def __init__(self, step, instant):
        self.step, self.instant = step, instant
        self.server = None
        self.dead = False

    def _kill(self, request):
        if request.kind == self.step and not self.dead:
            self.dead = True
            os.kill(self.server.control, signal.SIGKILL)

    def before(self, request):
        if self.instant == "asked":
            self._kill(request)

    def after(self, request, reply):
        if self.instant == "done":
            self._kill(request)
        return reply

    def sent(self, request):
        if self.instant == "answered":
            self._kill(request)


def at_ca(case, step, instant):
    """One name, one death, one certificate."""
    kill = CaKill(step, instant)
    ca, s = case.pair(document(["a.test"]), before=kill.before, after=kill.after)
    ca.sent = kill.sent
    kill.server = s
    s.start()
    s.wait_state("a.test", "valid", bound=60)
    case.assertTrue(kill.dead, f"there was no {step}")
    # The death right after the account's answer may come when newOrder is on its way already.
    in_window = step == "new-order" or (step, instant) == ("account", "answered")
    check(case, ca, s, 2 if in_window else 1)
    return ca.orders()


def check(case, ca, s, most):
    """One certificate, its key at hand, at most `most` orders; the next start orders nothing."""
    case.assertLessEqual(ca.orders(), most)
    served = s.shake_hands("a.test", context=server.client_context(ca.behind.root()))
    s.kill()
    orders = ca.orders()
    s.start()
    case.assertEqual(served.fingerprint, s.fingerprint("a.test"))
    case.assertEqual("valid", s.state("a.test"))
    case.assertEqual(orders, ca.orders())


def preloaded(s, **faults):
    return {
        "LD_PRELOAD": server.FAULTS,
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
        "FAULT_PATH": s.prefix,
        **faults,
    }


def count_operations(case, name="count"):
    """How many operations on the disk one order needs, from the empty prefix on."""
    ca, s = case.pair(document(["a.test"]))
    log = os.path.join(s.folder, "operations.txt")
    with open(log, "w", encoding="ascii"):
        os.chmod(log, 0o666)
    s.start(environment=preloaded(s, FAULT_LOG=log))
    s.wait_valid(["a.test"])
    s.stop()
    with open(log, encoding="ascii") as f:
        return len(f.readlines())


def at_operation(case, number, when):
    """The same at one operation on the disk. Gives whether it came to that."""
    ca, s = case.pair(document(["a.test"]), before=lambda request: None)
    marks = os.path.join(s.folder, "marks")
    os.mkdir(marks)
    os.chmod(marks, 0o777)
    marker = os.path.join(marks, "dead")
    s.start(environment=preloaded(s, FAULT_KILL=f"{number}:{when}:{marker}"))
    s.wait_state("a.test", "valid", bound=60)
    # the window between sending newOrder and storing its answer is one operation
    check(case, ca, s, 2)
    return os.path.exists(marker), ca.orders()
