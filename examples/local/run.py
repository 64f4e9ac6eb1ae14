#!/usr/bin/env python3
"""`make run`: a CA of your own, kong.yaml, and reconcert on its default ports.

Everything lies under build/run, which is emptied first: the CA forgets all when it ends, so we must
too. Ctrl-C ends all of it.
"""

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

import processes  # noqa: E402 (it lies beside the tests)
from pebble import Pebble, Watchdog  # noqa: E402

RUN = os.path.join(TOP, "build", "run")
LOCK = os.path.join(TOP, "build", "run.lock")
FILE = os.path.join(TOP, "kong.yaml")
CONFIGURATION = os.path.join(RUN, "reconcert.conf")
ROOTS = os.path.join(RUN, "root.pem")
BINARY = os.path.join(TOP, "build", "reconcert")
PLAIN, TLS, STATUS = 8000, 8443, 8007
UNSETTLED = {"pending", "due"}
LOOK_EVERY = 0.25


def say(text):
    print(text, flush=True)


def short(path):
    """A path as a person in the top folder types it."""
    return os.path.relpath(path, TOP)


def owner_of(port):
    """Who listens there, as far as /proc tells us: " (NAME, pid N)", or nothing."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as f:
                rows = [line.split() for line in f][1:]
        except OSError:
            continue
        inodes |= {r[9] for r in rows if r[3] == "0A" and int(r[1].rpartition(":")[2], 16) == port}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
                if link.startswith("socket:[") and link[8:-1] in inodes:
                    name = os.path.basename(processes.command_of(pid)[0])
                    return f" ({name}, pid {pid})"
        except (OSError, IndexError):
            continue
    return ""


def is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((address, port))
        except OSError as e:
            if family == socket.AF_INET or e.errno == 98:  # EADDRINUSE; no IPv6 is no trouble
                return False
    return True


def take_place():
    """The lock of this folder and the ports; says who has them and leaves, touching nothing."""
    os.makedirs(os.path.dirname(LOCK), exist_ok=True)
    lock = open(LOCK, "a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        sys.exit(f"make run: build/run is in use by another make run (pid {lock.read().strip()})")
    taken = [port for port in (PLAIN, TLS, STATUS) if not is_free(port)]
    if taken:
        where = ", ".join(f"port {port} is in use{owner_of(port)}" for port in taken)
        sys.exit(f"make run: {where}")
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def add_root(ca):
    with open(ROOTS, "a", encoding="ascii") as f:
        f.write(ca.root())


def write_configuration(ca):
    with open(CONFIGURATION, "w", encoding="utf-8") as f:
        f.write(
            "# Written by `make run`; gone with the next one. Ports and the rest are the defaults.\n"
            f"prefix = {RUN}/prefix\n"
            f"declarative_config = {FILE}\n"
            f"acme_server = {ca.url}\n"
            f"acme_trusted_certificate = {ca.certificate}\n"
        )


def greet(ca):
    say(f"CA           {ca.url} (Pebble; it asks port {PLAIN}; log in {short(ca.log)})")
    say(f"file         {short(FILE)}: edit it while this runs")
    say(f"what is next {short(BINARY)} diff -c {short(CONFIGURATION)}")
    say("stop         Ctrl-C\n")


def certificates():
    """What the server says of its names, or None while nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", STATUS, timeout=2)
        connection.request("GET", "/certificates")
        return json.loads(connection.getresponse().read())["certificates"]
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return None


def curl_line(entries):
    valid = [e["name"] for e in entries if e["state"] == "valid"]
    return f"curl --cacert {short(ROOTS)} https://{valid[0]}:{TLS}/" if valid else None


def show_table(entries):
    """The server's own table, and what to try."""
    sys.stdout.write("\n")
    sys.stdout.flush()
    subprocess.run([BINARY, "status", "-c", CONFIGURATION], check=False)
    line = curl_line(entries)
    say(f"\n{line}\n" if line else "")


class Show:
    """Prints the table when names have come to rest, and again after each change."""

    def __init__(self):
        self.shown = None

    def look(self):
        entries = certificates()
        if not entries or any(e["state"] in UNSETTLED for e in entries):
            return
        facts = [(e["name"], e["state"], e.get("fingerprint")) for e in entries]
        if facts != self.shown:
            self.shown = facts
            show_table(entries)


def serve(ca):
    """Runs the server to its end and gives its exit code."""

    def on_wedged():
        say("The CA has locked up and is started anew; the server will try again.")

    watchdog = Watchdog(ca, on_wedged)
    command = [short(BINARY), "run", "-c", short(CONFIGURATION), short(FILE)]
    say("$ " + " ".join(command))
    server = subprocess.Popen(
        command, cwd=TOP, preexec_fn=processes.die_with_parent, process_group=0
    )
    # a group of its own: the terminal's Ctrl-C comes to us alone, and we pass it on
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: server.send_signal(n))
    show, starts = Show(), ca.starts
    try:
        while server.poll() is None:
            time.sleep(LOOK_EVERY)
            show.look()
            if ca.starts != starts:  # new roots
                starts = ca.starts
                add_root(ca)
        return server.returncode
    finally:
        watchdog.stop()


def main():
    lock = take_place()
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN)
    if not os.path.exists(FILE):
        shutil.copyfile(os.path.join(TOP, "kong.yaml.example"), FILE)
        say("kong.yaml is new: a copy of kong.yaml.example")
    ca = Pebble(os.path.join(RUN, "ca"), PLAIN).start()
    try:
        add_root(ca)
        write_configuration(ca)
        greet(ca)
        return serve(ca)
    finally:
        ca.stop()
        lock.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
