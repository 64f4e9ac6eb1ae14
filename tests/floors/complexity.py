#!/usr/bin/env python3
"""`make complexity`: functions of at most 60 lines and cyclomatic complexity 12, files of at most 600.

A function that needs more says why, in a comment `/* exception: why */` in it or right above it.
Tests are held to the length of files alone.
"""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FUNCTION_LINES, FUNCTION_PATHS, FILE_LINES = 60, 12, 600
EXCEPTION = "/* exception:"


def files(*roots, endings):
    for root in roots:
        for folder, _, names in os.walk(os.path.join(TOP, root)):
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), TOP)


def functions(paths):
    """(file, line, name, lines, complexity) of each function, by pmccabe."""
    done = subprocess.run(
        ["pmccabe", *paths], cwd=TOP, capture_output=True, text=True, check=True
    )
    for row in done.stdout.splitlines():
        fields = row.split("\t")
        if len(fields) >= 6:
            # modified complexity counts a switch once: a table in the form of a switch is a table
            path, _, name = fields[5].partition(": ")
            line = int(path.rpartition("(")[2].rstrip(")"))
            yield path.rpartition("(")[0], line, name, int(fields[4]), int(fields[0])


def is_excepted(lines, first, count):
    start = max(0, first - 6)
    return any(EXCEPTION in line for line in lines[start : first + count])


def main():
    text, breaches = {}, []
    every = list(files("spec", "reconciler", "tests", endings=(".c", ".h")))
    for path in every:
        with open(os.path.join(TOP, path), encoding="utf-8") as f:
            text[path] = f.read().splitlines()
        if len(text[path]) > FILE_LINES:
            breaches.append(f"{path}: {len(text[path])} lines, more than {FILE_LINES}")
    program = [p for p in every if p.endswith(".c") and not p.startswith("tests/")]
    found = list(functions(program))
    for path, line, name, length, paths in found:
        if length <= FUNCTION_LINES and paths <= FUNCTION_PATHS:
            continue
        if not is_excepted(text[path], line, length):
            breaches.append(f"{path}:{line}: {name}: {length} lines, complexity {paths}")
    print("\n".join(breaches) if breaches else f"complexity: {len(found)} functions are in bounds")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
