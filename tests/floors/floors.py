#!/usr/bin/env python3
"""`make floors`: who includes whom, that no rooms go in a circle, and what pure floors call.

The rules are in table.py. Every breach is one line; the exit code is 1 when there is any.
"""

import argparse
import os
import re
import subprocess
import sys

import table

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

def floor_of(path):
    fitting = [p for p in table.PLACES if path.startswith(p)]
    return table.PLACES[max(fitting, key=len)] if fitting else None


def sources():
    for root in ("spec", "reconciler"):
        for folder, _, files in os.walk(os.path.join(TOP, root)):
            for file in sorted(files):
                if file.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, file), TOP)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def library_of(header):
    fitting = [h for h in table.LIBRARIES if header.startswith(h)]
    return table.LIBRARIES[max(fitting, key=len)] if fitting else None


def resolve(path, header):
    """Our header as a path from the top: beside the file, or from the top."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), header))
    return beside if os.path.exists(os.path.join(TOP, beside)) else header


def may_include(floor, target):
    allowed = table.INCLUDES[floor]
    return floor_of(target) in [floor, *allowed] or target in allowed


def may_use(floor, library, path):
    uses = table.USES.get(floor, {})
    return library in uses and (uses[library] is None or path in uses[library])


def check_includes(path, text):
    floor = floor_of(path)
    if floor is None:
        yield f"{path}: belongs to no floor of tests/floors/table.py"
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match[2]
        if match[1] == '"':
            target = resolve(path, header)
            if not may_include(floor, target):
                yield f"{path}:{number}: {floor} may not include {target}"
            continue
        library = library_of(header)
        if library and not may_use(floor, library, path):
            yield f"{path}:{number}: {library} is not for this file of {floor}"


def includes_between_rooms():
    """(room, other room) -> the first include, as text, of each pair of rooms that has any."""
    found = {}
    for path in sources():
        for number, line in enumerate(read(path).splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match[1] == '"':
                target = resolve(path, match[2])
                pair = floor_of(path), floor_of(target)
                found.setdefault(pair, f"{path}:{number} includes {target}")
    return found


def reachable(edges, start):
    found, queue = set(), [start]
    while queue:
        for each in edges.get(queue.pop(), ()):
            if each not in found:
                found.add(each)
                queue.append(each)
    return found


def shortest_circle(edges, start):
    """The rooms from `start` back to it, or []."""
    ways = [[start]]
    for way in ways:
        for each in sorted(edges.get(way[-1], ())):
            if each == start:
                return [*way, start]
            if each not in way:
                ways.append([*way, each])
    return []


def check_circles():
    """Rooms that may include each other, by whatever detour: one is told of each such set."""
    edges = {
        room: {floor_of(t) or t for t in allowed} - {room} for room, allowed in table.INCLUDES.items()
    }
    used, told = includes_between_rooms(), set()
    for room in sorted(edges):
        if room in told or room not in reachable(edges, room):
            continue
        told |= {other for other in reachable(edges, room) if room in reachable(edges, other)}
        circle = shortest_circle(edges, room)
        steps = [used.get(pair, "nobody does") for pair in zip(circle, circle[1:])]
        yield f"tests/floors/table.py: a circle: {' -> '.join(circle)} ({'; '.join(steps)})"


def check_own_header_first(path, text):
    own = path[:-2] + ".h"
    if not path.endswith(".c") or not os.path.exists(os.path.join(TOP, own)):
        return
    first = next((m[2] for m in map(INCLUDE.match, text.splitlines()) if m), None)
    if first is None or resolve(path, first) != own:
        yield f"{path}: must include its own header first"


def check_banned(path, text):
    bare = COMMENT_OR_TEXT.sub(lambda m: "\n" * m[0].count("\n"), text)
    for word in table.BANNED.split():
        for match in re.finditer(rf"(?<![\w.>]){word}\s*\(", bare):
            line = bare.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {word}() is banned"


def symbols(paths, *options):
    """nm over objects or archives: the set of names."""
    if not paths:
        return set()
    done = subprocess.run(["nm", "-P", *options, *paths], capture_output=True, text=True, check=True)
    words = (line.split() for line in done.stdout.splitlines())
    return {w[0].split("@")[0] for w in words if len(w) > 1 and len(w[1]) == 1}


def objects_of(build, floor):
    return [
        os.path.join(build, path[:-2] + ".o")
        for path in sources()
        if path.endswith(".c") and floor_of(path) == floor
    ]


def library_of_symbol(name):
    if any(name.startswith(p) for p in table.CRYPTO_PREFIXES):
        return "libcrypto"
    return next((lib for p, lib in table.LIBRARY_SYMBOLS.items() if name.startswith(p)), None)


def may_call(floor, name, path):
    library = library_of_symbol(name)
    some = table.SOME_SYMBOLS.get(floor, {}).get(library)
    return name in some if some is not None else may_use(floor, library, path)


def check_purity(build, floor):
    """Undefined symbols against libc's allow-list, the lower floors, and the libraries in use."""
    below = [floor] + [f for f in table.INCLUDES[floor] if f in table.INCLUDES]
    defined = set()
    for each in below:
        defined |= symbols(objects_of(build, each), "-g", "--defined-only")
    allowed = set(table.PURE_SYMBOLS) | set(table.EXTRA_SYMBOLS.get(floor, []))
    for path in objects_of(build, floor):
        source = os.path.relpath(path, build)[:-2] + ".c"
        for name in sorted(symbols([path], "-u")):
            if any(name.startswith(p) for p in table.IMPURE):
                yield f"{source}: {floor} is pure and calls {name}"
            elif name in defined or name in allowed:
                continue
            elif not may_call(floor, name, source):
                yield f"{source}: {floor} is pure and needs {name}"


def check_kept_from(build, floor, prefixes):
    for path in objects_of(build, floor):
        source = os.path.relpath(path, build)[:-2] + ".c"
        for name in sorted(symbols([path], "-u")):
            if any(name.startswith(p) for p in prefixes):
                yield f"{source}: {name} is not for {floor}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    build = os.path.join(TOP, parser.parse_args().build)
    breaches, files = [], 0
    for path in sources():
        text = read(path)
        files += 1
        breaches += check_includes(path, text)
        breaches += check_own_header_first(path, text)
        breaches += check_banned(path, text)
    breaches += check_circles()
    for floor in table.PURE:
        breaches += check_purity(build, floor)
    for floor, prefixes in table.KEPT_FROM.items():
        breaches += check_kept_from(build, floor, prefixes)
    print("\n".join(breaches) if breaches else f"floors: {files} files keep to them")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
