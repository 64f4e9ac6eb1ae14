"""Ports, children and deadlines for everything around the program: make run, e2e, soak, bench."""

import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1


def free_port(address="127.0.0.1"):
    """A TCP port that the kernel picks and hands to nobody else for a minute.

    The closed connection stays in TIME_WAIT on our side: a server with SO_REUSEADDR may bind the
    port, but the kernel does not give it away again.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        with socket.create_connection((address, port), 5) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the first to close keeps the TIME_WAIT
            client.recv(1)
        return port


def die_with_parent():
    """For preexec_fn: the child is killed when we die, however we die."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(arguments, log, **options):
    """Starts a child that dies with us, its output appended to the file `log`."""
    with open(log, "ab") as out:
        return subprocess.Popen(
            [str(a) for a in arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
            **{"stdin": subprocess.DEVNULL, **options},
        )


def stop(process, by=signal.SIGTERM, bound=5.0):
    """Ends a child: asks, waits, then kills. Returns its exit code."""
    if process is None or process.poll() is not None:
        return process.returncode if process else None
    process.send_signal(by)
    try:
        return process.wait(bound)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Deadline(Exception):
    """Something did not happen in time."""


def wait_until(what, condition, bound=20.0, pause=0.02):
    """Calls `condition` until it gives something true, and gives that back."""
    end = time.monotonic() + bound
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Deadline(f"not within {bound:g} s: {what}")
        time.sleep(pause)


def stat_of(pid):
    """The fields of /proc/PID/stat behind the program's name, or None: [0] is the state."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().rstrip(b"\0").decode(errors="replace").split("\0")
    except OSError:
        return []


def _pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def children_of(pid):
    found = []
    for other in _pids():
        fields = stat_of(other)
        if fields and int(fields[1]) == pid and fields[0] != "Z":
            found.append(other)
    return sorted(found)


def tree_of(pid):
    """`pid` and all that descend from it."""
    queue, found = [pid], []
    while queue:
        next_one = queue.pop()
        found.append(next_one)
        queue += children_of(next_one)
    return found


def session_of(sid):
    """All processes of a session that still run."""
    found = []
    for pid in _pids():
        fields = stat_of(pid)
        if fields and int(fields[3]) == sid and fields[0] != "Z":
            found.append(pid)
    return found


def kill_session(sid):
    """Kills what is left of a session, whatever process groups it made."""
    for _ in range(50):
        left = session_of(sid)
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def is_running(pid):
    """Its other threads, which keep its files open, may outlive the first one."""
    fields = stat_of(pid)
    return fields is not None and (fields[0] != "Z" or int(fields[17]) > 1)


def cpu_seconds(pids):
    """User and system time of these processes so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in pids:
        fields = stat_of(pid)
        if fields:
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def pss_bytes(pids):
    """Proportional memory of these processes."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += sum(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total
