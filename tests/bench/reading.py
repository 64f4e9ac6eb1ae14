"""Rows f to i: large files. All but g are one thread's work, so they count CPU seconds (user and
system), which other processes disturb least; g is what somebody waits for, by the wall. Every
ratio is that of neighbours in time."""

import math
import os
import statistics
import subprocess
import time

import server as e2e
from kong_file import leaf_name, write_domains, write_services

SERVICES = 100_000
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
REPEATS = 5
STARTS = 3
DEBOUNCE = 0.1  # seconds of quiet before a changed file is read
NOBODY = "https://127.0.0.1:1/dir"  # a CA that answers nothing


def services_file(b):
    path = b.path("services.yaml")
    if not os.path.exists(path):
        write_services(path, SERVICES)
    return path


def clocks(b, program, path):
    """(wall, CPU) seconds that ymlscan or specload print."""
    done = subprocess.run([b.program(program), path], capture_output=True, text=True, check=True)
    wall, cpu = done.stdout.split()[:2]
    return float(wall), float(cpu)


def run(command):
    """(CPU seconds, peak bytes of memory) of a whole program; what it prints goes nowhere."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=e2e.clean_environment()
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def ratio_of(ours, scans):
    return statistics.median(x / y for x, y in zip(ours, scans))


# ---- f: loading ----


def row_f(b):
    path = services_file(b)
    prefix = b.path("f-prefix")
    check = [e2e.BINARY, "check", "--set", f"prefix={prefix}", path]
    scans, loads, checks, peaks = [], [], [], []
    for _ in range(REPEATS):
        scans.append(clocks(b, "ymlscan", path)[1])
        loads.append(clocks(b, "specload", path)[1])
        seconds, peak = run(check)
        checks.append(seconds)
        peaks.append(peak)
    size = f"{os.path.getsize(path) / 1e6:.1f} MB, {SERVICES} services, routes and hosts"
    b.note("f", f"bare libyaml event scan of {size}, CPU", statistics.median(scans) * 1e3, "ms")
    b.note("f", "parse, check, resolve and desired, CPU", statistics.median(loads) * 1e3, "ms")
    ratio = ratio_of(loads, scans)
    b.note("f", "against the scan", ratio, "times", "under 2.5", ratio < 2.5)
    ratio = ratio_of(checks, scans)
    b.note("f", "the whole of `reconcert check`, CPU against the scan", ratio, "times", "under 2.5",
           ratio < 2.5)  # fmt: skip
    peak = max(peaks) / 1e6
    b.note("f", "its peak memory", peak, "MB", "under 300", peak < 300)


# ---- g: one changed route ----


def claims(port, host):
    """A route of the file claims the host: there is no service to ask yet, but no 404 either."""
    try:
        return e2e.ask(port, host=host).status == 503
    except OSError:
        return False


def wait_claimed(port, host, bound=120):
    """Seconds until a worker has a generation with that host."""
    began = time.perf_counter()
    while not claims(port, host):
        if time.perf_counter() - began > bound:
            raise AssertionError(f"{host} was not claimed within {bound} s")
        time.sleep(0.001)
    return time.perf_counter() - began


def change_one_route(b, path, s):
    """(first loads, changes, scans): a start, then a change, in turns."""
    number, first, changes, scans = SERVICES // 2, [], [], []
    for turn in range(STARTS):
        scans.append(clocks(b, "ymlscan", path)[0])
        began = time.perf_counter()
        s.spawn()
        wait_claimed(s.plain, leaf_name(SERVICES - 1))
        first.append(time.perf_counter() - began)
        for _ in range(2):
            time.sleep(2)  # at rest
            host = f"changed-{turn}-{len(changes)}.bench.test"
            write_services(s.file + ".fresh", SERVICES, (number, host))
            began = time.perf_counter()
            os.rename(s.file + ".fresh", s.file)
            wait_claimed(s.plain, host)
            changes.append(time.perf_counter() - began - DEBOUNCE)
        s.kill()
    return first, changes, scans


def row_g(b):
    path = services_file(b)
    s = e2e.Server(b.path("g-server"), "", NOBODY)
    subprocess.run([b.program("fillstore"), s.prefix, str(SERVICES), NOBODY], check=True)
    write_services(s.file, SERVICES)
    s.spawn()  # once, so that the default certificate is made
    try:
        wait_claimed(s.plain, leaf_name(0))
        s.kill()
        first, changes, scans = change_one_route(b, path, s)
    finally:
        s.kill()
    b.note("g", "bare libyaml event scan, by the wall", statistics.median(scans) * 1e3, "ms")
    b.note("g", "start to the first generation", statistics.median(first) * 1e3, "ms")
    b.note("g", "one route changed, rename to the new generation, without 100 ms of quiet",
           statistics.median(changes) * 1e3, "ms")  # fmt: skip
    ratio = ratio_of(changes[::2], first)
    b.note("g", "against the first load", ratio, "times", "at most 1", ratio <= 1)
    b.note("g", "against the scan (goal: 1.5)", ratio_of(changes[::2], scans), "times")


# ---- h: the dry run ----


def row_h(b):
    path, public = services_file(b), b.path("public.yaml")
    write_services(public, SERVICES, zone="bench.example.org")
    empty, stored = [f"--set=prefix={b.path(name)}" for name in ("h-empty", "h-stored")]
    plans = {
        "all to be issued": ["--acme-server", NOBODY, empty, path],
        "all kept": ["--acme-server", NOBODY, stored, path],
        "fit into the limits of Let's Encrypt, as JSON": ["--format", "json", empty, public],
    }
    subprocess.run([b.program("fillstore"), b.path("h-stored"), str(SERVICES), NOBODY], check=True)
    scans, found = [], {}
    for _ in range(REPEATS):
        scans.append(clocks(b, "ymlscan", path)[1])
        for what, arguments in plans.items():
            seconds, _ = run([e2e.BINARY, "diff", *arguments])
            found.setdefault(what, []).append(seconds)
    for what, seconds in found.items():
        ratio = ratio_of(seconds, scans)
        b.note("h", f"`diff` of {SERVICES} names, {what}, CPU against the scan", ratio, "times",
               "under 4", ratio < 4)  # fmt: skip


# ---- i: growth ----


def exponent(sizes, seconds):
    """The slope of log time over log size, by least squares."""
    xs, ys = [math.log(n) for n in sizes], [math.log(s) for s in seconds]
    x, y = statistics.mean(xs), statistics.mean(ys)
    return sum((a - x) * (c - y) for a, c in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def row_i(b):
    loads = []
    for count in GROWTH:
        path = b.path(f"domains-{count}.yaml")
        write_domains(path, count)
        cpu = [clocks(b, "specload", path)[1] for _ in range(REPEATS)]
        os.unlink(path)
        loads.append(min(cpu))
        b.note("i", f"load of {count} names in `domains`, each, CPU", min(cpu) / count * 1e9, "ns")
    power = exponent(GROWTH, loads)
    b.note("i", "growth: time is size to the power of", power, "", "at most 1.1", power <= 1.1)


ROWS = {"f": row_f, "g": row_g, "h": row_h, "i": row_i}
