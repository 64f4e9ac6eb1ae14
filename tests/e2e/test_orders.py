"""Orders on their way when control ends, in the middle of a burst: none is made twice without need."""

import os
import re
import signal
import threading

import processes
from harness import Case, document

NAMES = 200
ANSWERED = 60  # newOrders whose answers get through at once; the others are held
SLOW = 0.05
URL = re.compile(rb"/my-order/[\w-]+")
KILLS = 3
LIMIT = 170


class Burst:
    """Slow answers to newOrder, from the n-th on none until the gate opens."""

    def __init__(self, free):
        self.free = free
        self.gate = threading.Event()
        self.passed = 0
        self.lock = threading.Lock()

    def after(self, request, reply):
        if request.kind == "new-order" and reply.status == 201:
            with self.lock:
                self.passed += 1
                is_free = self.passed <= self.free
            self.gate.wait(SLOW if is_free else 60)
        return reply


class Orders(Case):
    BOUND = 180

    def begin(self, free, settings=None, names=NAMES):
        self.names = [f"n{i}.test" for i in range(names)]
        self.burst = Burst(free)
        text = document(self.names)
        self.ca, self.s = self.pair(text, after=self.burst.after)
        for key, value in (settings or {}).items():
            self.s.write_settings(**{key: value.format(ca=self.ca.url)})
        self.s.start()

    def urls_on_disk(self):
        found = set()
        for folder, _, files in os.walk(self.s.prefix):
            for path in (os.path.join(folder, f) for f in files):
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as f:
                    found |= set(URL.findall(f.read()))
        return len(found)

    def in_the_middle(self):
        """Some are answered, and on disk though the batch is not; how many more are sent."""
        processes.wait_until("answers are on disk", lambda: self.urls_on_disk() >= ANSWERED)
        return processes.wait_until("more are sent", lambda: self.made() - ANSWERED)

    def made(self):
        return sum(r.reply is None or r.reply.status == 201 for r in self.ca.of_kind("new-order"))

    def orders_of(self, name):
        return sum(r.reply is None or r.reply.status == 201
                   for r in self.ca.of_kind("new-order") if name in r.names)  # fmt: skip

    def end(self):
        self.s.wait_valid(self.names, bound=120)

    def test_kill(self):
        self.begin(ANSWERED)
        self.in_the_middle()
        os.kill(self.s.control, signal.SIGKILL)
        held = self.made() - ANSWERED
        self.burst.gate.set()
        self.end()
        self.assertLessEqual(self.made(), NAMES + held)
        self.assertLessEqual(max(map(self.orders_of, self.names)), 2)

    def test_terminate(self):
        self.begin(ANSWERED)
        self.in_the_middle()
        self.s.process.send_signal(signal.SIGTERM)
        processes.wait_until("it stops", lambda: self.s.events("stopping"))
        self.assertTrue(self.s.control, "it waits for the CA")
        self.assertEqual(404, self.s.ask().status, "and answers it")
        self.burst.gate.set()
        self.assertEqual(0, self.s.process.wait(40))
        self.assertLess(self.made(), NAMES)
        self.s.start()
        self.end()
        self.assertEqual(NAMES, self.made())

    def test_terminate_anywhere(self):
        """Whatever the CA is asked for: what it validates is answered until it is done."""
        self.begin(NAMES)
        for kind in ("authorization", "challenge", "order", "finalize", "certificate"):
            at = len(self.ca.of_kind(kind)) + 10
            processes.wait_until(kind, lambda: len(self.ca.of_kind(kind)) >= at, pause=0.001)
            self.s.process.send_signal(signal.SIGTERM)
            self.assertEqual(0, self.s.process.wait(40))
            self.s.start()
        self.end()
        self.assertEqual(NAMES, self.made())

    def test_upgrade(self):
        self.begin(ANSWERED)
        self.in_the_middle()
        before = self.s.control
        self.s.process.send_signal(signal.SIGUSR2)
        processes.wait_until("it is taken over", lambda: self.s.events("upgrade_taken_over"))
        self.assertEqual(before, self.s.control, "it waits for the CA")
        self.burst.gate.set()
        processes.wait_until("it is replaced", lambda: self.s.control not in (None, before))
        self.end()
        self.assertEqual(NAMES, self.made())

    def test_limit(self):
        """What was sent draws on the CA's limits, though its answers never came."""
        self.begin(ANSWERED, {"acme_limits": f"{{ca}} orders={LIMIT}/3h"})
        for number in range(KILLS):
            sent, victim = self.made(), self.s.control
            if number == 0:
                processes.wait_until("newOrders", lambda: self.made() > ANSWERED)
            elif number == 1:
                processes.wait_until("more", lambda: self.made() > sent)
            os.kill(victim, signal.SIGKILL)
            processes.wait_until("another", lambda: self.s.control not in (None, victim))
        self.burst.gate.set()
        processes.wait_until("all are decided", self.is_settled, 60)
        self.assertLessEqual(self.made(), LIMIT)
        self.assertGreater(self.made(), ANSWERED)

    def is_settled(self):
        """All are valid, or wait for the CA's limits."""
        all_of_them = self.s.certificates().values()
        return len(all_of_them) == NAMES and all(
            c["state"] == "valid" or (c["next"]["at"] and c["state"] == "pending")
            for c in all_of_them)  # fmt: skip
