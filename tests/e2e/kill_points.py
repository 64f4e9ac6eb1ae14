"""kill -9 of control at each step of an order: used by test_kill.py and, ten times each, by the soak."""

import os
import shutil
import signal
import subprocess
import threading

import processes
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
    return count_lines(log)


def count_lines(path):
    try:
        with open(path, encoding="ascii") as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


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


class Held:
    """Handshakes without end at names whose certificates are `own`: which of them failed, and which
    were answered with another one after the first with their own."""

    def __init__(self, s, own):
        self.server, self.own = s, own
        self.seen, self.wrong = set(), []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ending.is_set():
            for name, fingerprint in self.own.items():
                try:
                    is_own = self.server.fingerprint(name) == fingerprint
                except Exception as e:  # whatever it is, none may fail
                    self.wrong.append((name, repr(e)))
                    continue
                if is_own:
                    self.seen.add(name)
                elif name in self.seen:
                    self.wrong.append((name, "another certificate"))

    def wait_all(self):
        processes.wait_until("all are served", lambda: len(self.seen) == len(self.own), 30)

    def stop(self):
        self._ending.set()
        self._thread.join(30)


class Retired:
    """A server with certificates in its storage that its file asked for once."""

    NAMES = [f"n{i}.test" for i in range(6)]

    def __init__(self, case):
        _, self.server = case.pair(document(self.NAMES))
        self.case, self.kept = case, self.server.prefix + ".kept"
        self.marks = os.path.join(self.server.folder, "marks")
        os.mkdir(self.marks)
        os.chmod(self.marks, 0o777)
        self.server.start()
        self.server.wait_valid(self.NAMES)
        self.own = {n: self.server.fingerprint(n) for n in self.NAMES}
        self.server.write(document([]))
        processes.wait_until("all are retired", lambda: self.has_told("retired", 1), 30)
        self.server.stop()
        os.rename(self.server.prefix, self.kept)

    def mark(self, name):
        """A path that control may write to."""
        return os.path.join(self.marks, name)

    def has_told(self, what, times):
        return len(self.server.events("certificate_" + what)) >= times * len(self.NAMES)

    def begin(self, **faults):
        """As it was left, asked for nothing."""
        self.server.kill()
        shutil.rmtree(self.server.prefix, ignore_errors=True)
        subprocess.run(["cp", "-a", self.kept, self.server.prefix], check=True)
        self.server.write(document([]))
        self.server.start(environment=preloaded(self.server, **faults))

    def adopt(self):
        """The file asks for all of them again; gives who looks on."""
        held = self.case.keep(Held(self.server, self.own))
        self.server.write(document(self.NAMES))
        return held

    def check(self, held):
        """To its end, and through one more death."""
        held.wait_all()
        victim = self.server.control
        os.kill(victim, signal.SIGKILL)
        processes.wait_until("it is replaced", lambda: self.server.control not in (None, victim), 30)
        self.server.wait_valid(self.NAMES)
        held.stop()
        self.case.assertEqual([], held.wrong)
