#!/usr/bin/env python3
"""Runs all tests side by side, each in a session of its own with a bound on its time.

The last line says `N passed, N failed` (and `, N skipped`, where something was); the exit code is 1
when anything failed or nothing ran. Words on the command line pick the tests that begin with them:
`unit/core`, `conformance`, `e2e/test_issue`, `e2e/test_issue.Issue.test_names`.
"""

import argparse
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import processes

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
E2E = os.path.join(TOP, "tests", "e2e")
SKIPPED = 77  # exit code of tests/e2e/one.py
UNIT_BOUND, CONFORMANCE_BOUND, E2E_BOUND = 180, 300, 180
SLOW = 4  # sanitizer builds get this many times the bounds

CUNIT_ROW = re.compile(r"^\s*tests\s+(\d+)\s+(\d+|n/a)\s+(\d+)\s+(\d+)\s+(\d+)", re.M)
CLOSING = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)


class Outcome:
    def __init__(self, passed=0, failed=0, skipped=0, text=""):
        self.passed, self.failed, self.skipped, self.text = passed, failed, skipped, text


class Test:
    """One program to run; `read` turns (exit code, output) into an Outcome."""

    def __init__(self, name, command, bound, read):
        self.name, self.command, self.bound, self.read = name, command, bound, read


def read_cunit(code, text):
    rows = CUNIT_ROW.findall(text)
    passed = sum(int(row[2]) for row in rows)
    failed = sum(int(row[3]) for row in rows)
    if not rows or (code != 0 and failed == 0):
        failed += 1  # it crashed, or says nothing
    return Outcome(passed, failed)


def read_closing(code, text):
    lines = CLOSING.findall(text)
    if not lines:
        return Outcome(failed=1)
    passed, failed, skipped = (int(n or 0) for n in lines[-1])
    return Outcome(passed, failed + (code != 0 and failed == 0), skipped)


def read_one(code, text):
    if code == SKIPPED:
        reasons = re.findall(r"^skipped: (.*)$", text, re.M)
        return Outcome(skipped=1, text=reasons[-1] if reasons else "")
    return Outcome(passed=int(code == 0), failed=int(code != 0))


def unit_tests(build):
    root = os.path.join(TOP, "tests", "unit")
    for folder, _, files in sorted(os.walk(root)):
        for file in sorted(files):
            if file.startswith("test_") and file.endswith(".c"):
                name = os.path.relpath(os.path.join(folder, file[:-2]), TOP)
                program = os.path.join(build, name)
                yield Test(name.removeprefix("tests/"), [program], UNIT_BOUND, read_cunit)


def conformance_tests(build, cases):
    root = os.path.join(TOP, "tests", "conformance")
    for file in sorted(os.listdir(root)):
        if file.startswith("run_") and file.endswith(".c"):
            program = os.path.join(build, "tests", "conformance", file[:-2])
            name = "conformance/" + file[:-2]
            yield Test(name, [program, cases], CONFORMANCE_BOUND, read_closing)


def e2e_tests(build, cases):
    """One test for each method: they run side by side and are bounded one by one."""
    sys.path.insert(0, E2E)
    os.environ["RECONCERT_BUILD"] = build
    os.environ["RECONCERT_CASES"] = cases
    queue = [unittest.defaultTestLoader.discover(E2E, "test_*.py", E2E)]
    while queue:
        for item in queue.pop():
            if isinstance(item, unittest.TestSuite):
                queue.append(item)
                continue
            name = item.id()
            command = [sys.executable, os.path.join(E2E, "one.py"), name]
            bound = getattr(item, "BOUND", E2E_BOUND)
            yield Test("e2e/" + name, command, bound, read_one)


def run(test, bound):
    """Runs it and leaves nothing of it behind. Gives (outcome, seconds)."""
    began = time.monotonic()
    if not os.path.exists(test.command[0]):
        return Outcome(failed=1, text=f"{test.command[0]} is not built"), 0.0
    child = subprocess.Popen(
        test.command,
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    late = ""
    try:
        text, _ = child.communicate(timeout=bound)
    except subprocess.TimeoutExpired:
        late = f"\nnot finished within {bound:g} s, killed\n"
        child.send_signal(signal.SIGTERM)  # one.py cleans up and shows its logs
        try:
            text, _ = child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            processes.kill_session(child.pid)
            text, _ = child.communicate()
    processes.kill_session(child.pid)
    text = text.decode(errors="replace") + late
    outcome = test.read(child.returncode, text)
    if late and not outcome.failed:
        outcome.failed = 1
    if outcome.failed:
        outcome.text = text
    elif "repeated once" in text:  # a locked-up Pebble: said even when all is well
        outcome.text = next(line for line in text.splitlines() if "repeated once" in line)
    return outcome, time.monotonic() - began


def show(test, outcome, seconds):
    word = "FAILED" if outcome.failed else "ok" if outcome.passed else "skipped"
    count = f"{outcome.passed} passed" + (f", {outcome.failed} failed" if outcome.failed else "")
    note = f": {outcome.text}" if outcome.text and not outcome.failed else ""
    print(f"{word:8}{test.name} ({count}, {seconds:.1f} s){note}", flush=True)
    if outcome.failed:
        print("    " + outcome.text.rstrip().replace("\n", "\n    "), flush=True)


def collect(options):
    build, cases = os.path.abspath(options.build), os.path.abspath(options.cases)
    tests = list(e2e_tests(build, cases)) + list(unit_tests(build))
    left_out = 0
    if os.path.isdir(cases):
        tests += conformance_tests(build, cases)
    else:
        left_out = 1
    words = options.words
    if words:
        left_out = left_out if any("conformance".startswith(w) for w in words) else 0
        tests = [t for t in tests if any(t.name.startswith(w) for w in words)]
    if left_out:
        print(f"skipped conformance: there is no {options.cases}")
    return tests, left_out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--cases", default="../shared/cases")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    slow = SLOW if "asan" in os.path.basename(options.build.rstrip("/")) else 1
    tests, skipped = collect(options)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(run, t, t.bound * slow): t for t in tests}
        for done in concurrent.futures.as_completed(running):
            outcome, seconds = done.result()
            show(running[done], outcome, seconds)
            passed += outcome.passed
            failed += outcome.failed
            skipped += outcome.skipped
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
