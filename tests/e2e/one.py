#!/usr/bin/env python3
"""Runs one test method: `one.py test_issue.Issue.test_names`. Exit code 0, 1, or 77 for skipped.

SIGTERM (the runner's bound is over) raises in the test, so that it stops what it started and shows
its logs.
"""

import faulthandler
import os
import signal
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77


class Interrupted(Exception):
    """The runner wants us to end."""


def interrupt(_number, _frame):
    raise Interrupted("the runner's bound is over")


def main():
    sys.path.insert(0, HERE)
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
    faulthandler.enable()
    signal.signal(signal.SIGTERM, interrupt)
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    result = unittest.TextTestRunner(verbosity=0, stream=sys.stderr).run(suite)
    for _, reason in result.skipped:
        print(f"skipped: {reason}", flush=True)
    if not result.wasSuccessful() or result.testsRun == 0:
        return 1
    return SKIPPED if len(result.skipped) == result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
