#!/usr/bin/env python3
"""`make complexity`: how much code there is in each room, and how long and branchy its functions are.

A function has at most 60 lines and cyclomatic complexity 12, a file 600 lines; one that needs more
says why, in a comment `/* exception: why */` in it or right above it. A room has at most 5,000 lines
of code (without blank ones and comments), and nine functions of ten keep to the bounds of a p90.
Tests are held to the length of files alone.
"""

import os
import subprocess
import sys

import floors

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FUNCTION_LINES, FUNCTION_PATHS, FILE_LINES = 60, 12, 600
P90_LINES, P90_PATHS = 25, 8
ROOM_LINES, UNBOUND = 5000, ("spec",)
GOALS = {"reconciler": 42500, "spec": 11406}  # lines of code in all, told and not yet enforced
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


def code_lines(text):
    """Lines that are neither blank nor comment alone."""
    bare = floors.COMMENT_OR_TEXT.sub(lambda m: m[0] if m[0][0] in "\"'" else "\n" * m[0].count("\n"), text)
    return sum(bool(line.strip()) for line in bare.splitlines())


def p90(numbers):
    """The largest of the smaller nine tenths."""
    return sorted(numbers)[(9 * len(numbers) - 1) // 10] if numbers else 0


def check_functions(found, text):
    for path, line, name, length, paths in found:
        if length <= FUNCTION_LINES and paths <= FUNCTION_PATHS:
            continue
        if not is_excepted(text[path], line, length):
            yield f"{path}:{line}: {name}: {length} lines, complexity {paths}"


def check_rooms(found, text):
    """Prints a row a room and one of all; gives what is out of bounds."""
    lines = {}
    for path in floors.sources():
        room = floors.floor_of(path)
        lines[room] = lines.get(room, 0) + code_lines("\n".join(text[path]))
    print(f"{'room':12}{'code lines':>10}  {'functions':>9}  {'p90 lines':>9}  {'p90 complexity':>14}")
    for room, count in [*sorted(lines.items()), ("all", sum(lines.values()))]:
        own = [f for f in found if room in ("all", floors.floor_of(f[0]))]
        long, branchy = p90([f[3] for f in own]), p90([f[4] for f in own])
        print(f"{room:12}{count:10}  {len(own):9}  {long:9}  {branchy:14}")
        if room not in ("all", *UNBOUND) and count > ROOM_LINES:
            yield f"{room}: {count} lines of code, more than {ROOM_LINES}"
        if room == "all" and (long > P90_LINES or branchy > P90_PATHS):
            yield f"p90 of all functions: more than {P90_LINES} lines or complexity {P90_PATHS}"
    for root, goal in GOALS.items():
        count = sum(code_lines("\n".join(text[p])) for p in floors.sources() if p.startswith(root))
        print(f"{root}/: {count} lines of code of {goal}")


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
    breaches += check_functions(found, text)
    breaches += check_rooms(found, text)
    print("\n".join(breaches) if breaches else f"complexity: {len(found)} functions are in bounds")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
