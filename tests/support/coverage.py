#!/usr/bin/env python3
"""`make coverage`: how much of some rooms their unit tests run, by gcov.

    coverage.py --build build/coverage ROOM...

Every branch of every condition counts, those of failed allocations too.
"""

import argparse
import concurrent.futures
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

import run_tests

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def forget(build):
    for path in glob.glob(f"{build}/**/*.gcda", recursive=True):
        os.unlink(path)


def run_unit_tests(build, rooms):
    """Their counts are added up in the build's .gcda files. Gives how many programs failed."""
    tests = [t for t in run_tests.unit_tests(build) if t.name.split("/")[1] in rooms]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for test, (outcome, seconds) in zip(tests, pool.map(lambda t: run_tests.run(t, t.bound), tests)):
            if outcome.failed:
                failed += 1
                run_tests.show(test, outcome, seconds)
    return failed


class Count:
    def __init__(self, taken=0, all_=0):
        self.taken, self.all = taken, all_

    def add(self, other):
        self.taken, self.all = self.taken + other.taken, self.all + other.all

    def __str__(self):
        share = 100 * self.taken / self.all if self.all else 100
        return f"{share:6.1f} %  {self.taken:5} of {self.all:5}"


def count_file(build, source):
    """(lines, branches) of one source that was compiled with --coverage."""
    note = os.path.join(build, source[:-2] + ".gcno")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", note], cwd=folder,
                       check=True, capture_output=True)  # fmt: skip
        (report,) = glob.glob(folder + "/*.gcov.json.gz")
        with gzip.open(report) as f:
            files = json.load(f)["files"]
    own = [line for file in files if file["file"] == source for line in file["lines"]]
    branches = [b["count"] for line in own for b in line["branches"] if not b["throw"]]
    return Count(sum(line["count"] > 0 for line in own), len(own)), Count(sum(c > 0 for c in branches), len(branches))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/coverage")
    parser.add_argument("rooms", nargs="+")
    options = parser.parse_args()
    build = os.path.join(TOP, options.build)
    forget(build)
    failed = run_unit_tests(build, options.rooms)
    for room in options.rooms:
        lines, branches = Count(), Count()
        for path in sorted(glob.glob(f"{TOP}/reconciler/{room}/*.c")):
            source = os.path.relpath(path, TOP)
            counted = count_file(build, source)
            print(f"{source:45} branches {counted[1]}   lines {counted[0]}")
            lines.add(counted[0])
            branches.add(counted[1])
        print(f"{room:45} branches {branches}   lines {lines}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
