"""kill -9 of control at each durable step of an order: each once here, ten times in the soak."""

import os

import kill_points
import processes
from harness import Case, document, guarded

SHARDS = 4


class AtTheCa(Case):
    """At each request of an order: before the CA has it, before we have its answer, right after."""


def add_case(step, instant):
    def run(self):
        kill_points.at_ca(self, step, instant)

    run.__name__ = f"test_{step.replace('-', '_')}_{instant}"
    run.__qualname__ = f"AtTheCa.{run.__name__}"
    setattr(AtTheCa, run.__name__, guarded(run))


for each_step in kill_points.CA_STEPS:
    for each_instant in kill_points.INSTANTS:
        add_case(each_step, each_instant)


class AtTheDisk(Case):
    """At every operation on the disk; before, after and in the middle of it take turns."""

    BOUND = 400

    def shard(self, number):
        count = kill_points.count_operations(self)
        self.assertGreater(count, 3)
        second_orders = 0
        for operation in range(1 + number, count + 1, SHARDS):
            self.fresh_folder()
            when = kill_points.WHENS[operation % len(kill_points.WHENS)]
            print(f"operation {operation} of {count}, {when}", flush=True)
            _, orders = kill_points.at_operation(self, operation, when)
            second_orders += orders > 1
        self.assertLessEqual(second_orders, 2, "only around the storing of newOrder's answer")

    def test_shard_0(self):
        self.shard(0)

    def test_shard_1(self):
        self.shard(1)

    def test_shard_2(self):
        self.shard(2)

    def test_shard_3(self):
        self.shard(3)


class InAnAdoption(Case):
    """What the file asks for again is served, and stays so, whoever dies meanwhile."""

    FLIPS = 5

    def test_at_the_disk(self):
        retired = kill_points.Retired(self)
        log = retired.mark("operations")
        retired.begin(FAULT_LOG=log)
        before = kill_points.count_lines(log)
        held = retired.adopt()
        held.wait_all()
        retired.server.wait_valid(retired.NAMES)
        count = kill_points.count_lines(log)
        held.stop()
        self.assertGreater(count, before)
        for operation in range(before + 1, count + 1):
            when = kill_points.WHENS[operation % len(kill_points.WHENS)]
            print(f"operation {operation} of {count}, {when}", flush=True)
            marker = retired.mark(f"dead.{operation}")
            retired.begin(FAULT_KILL=f"{operation}:{when}:{marker}")
            retired.check(retired.adopt())

    def test_before_the_retirement_is_recorded(self):
        retired = kill_points.Retired(self)
        stall = retired.mark("stall")
        s = retired.server
        retired.begin(FAULT_STALL=stall)
        retired.check(retired.adopt())
        for flip in range(1, 1 + self.FLIPS):
            with open(stall, "w", encoding="ascii"):
                pass
            s.write(document([]))
            s.wait_fingerprint("n0.test", lambda seen: seen == s.fingerprint())
            held = retired.adopt()
            held.wait_all()
            os.unlink(stall)
            processes.wait_until("it is recorded", lambda: retired.has_told("retired", flip + 1), 30)
            retired.check(held)
