"""kill -9 of control at each durable step of an order: each once here, ten times in the soak."""

import kill_points
from harness import Case, guarded

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
