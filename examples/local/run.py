#!/usr/bin/env python3
"""`make run`: a CA of your own, kong.yaml, and reconcert on its default ports.

Everything lies under build/run, which is emptied first: the CA forgets all when it ends, so we must
too. Ctrl-C ends all of it. Beside another one: run.py --plain 8080 --tls 9443 --status 8017 --folder
build/run2.
"""

import argparse
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

BINARY = os.path.join(TOP, "build", "reconcert")
PLAIN, TLS, STATUS = 8000, 8443, 8007
BESIDE = "--plain 8080 --tls 9443 --status 8017 --folder build/run2"
HINT = f"make run: beside it: python3 examples/local/run.py {BESIDE}"
UNSETTLED = {"pending", "due"}
LOOK_EVERY = 0.25


def say(text):
    print(text, flush=True)


def short(path):
    """A path as a person in the top folder types it."""
    return os.path.relpath(path, TOP)


def is_local(name):
    """Does curl find it on this machine by itself?"""
    return name == "localhost" or name.endswith(".localhost")


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


class Place:
    """Where this run lives: its folder, its file, its ports."""

    def __init__(self, options):
        self.folder = os.path.abspath(options.folder)
        self.file = os.path.abspath(options.file)
        self.plain, self.tls, self.status = options.plain, options.tls, options.status
        self.configuration = os.path.join(self.folder, "reconcert.conf")
        self.roots = os.path.join(self.folder, "root.pem")

    def take(self):
        """Locks the folder; says who has it or the ports, and leaves, touching nothing."""
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        lock = open(self.folder + ".lock", "a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            who = lock.read().strip()
            sys.exit(f"make run: {short(self.folder)} is in use by another make run (pid {who})\n{HINT}")
        taken = [port for port in (self.plain, self.tls, self.status) if not is_free(port)]
        if taken:
            lines = [f"make run: port {p} is in use{owner_of(p)}" for p in taken]
            sys.exit("\n".join([*lines, HINT]))
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def empty(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def add_root(self, ca):
        root = ca.root()
        with open(self.roots, "a", encoding="ascii") as f:
            f.write(root)

    def written(self):
        """The file as messages are to name it: all commands shown run in the top folder."""
        inside = os.path.commonpath([TOP, self.file]) == TOP
        return short(self.file) if inside else self.file

    def write_configuration(self, ca):
        lines = [
            "# Written by `make run`; gone with the next one. What is not here is the default.",
            f"prefix = {self.folder}/prefix",
            f"declarative_config = {self.written()}",
            f"acme_server = {ca.url}",
            f"acme_trusted_certificate = {ca.certificate}",
        ]
        if (self.plain, self.tls, self.status) != (PLAIN, TLS, STATUS):
            lines.append(f"proxy_listen = 0.0.0.0:{self.plain}, 0.0.0.0:{self.tls} http2 ssl")
            lines.append(f"status_listen = 127.0.0.1:{self.status}")
        with open(self.configuration, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


def greet(place, ca):
    say(f"CA            {ca.url} (Pebble, log {short(ca.log)})")
    say(f"your file     {short(place.file)}: edit it while this runs")
    say(f"what is next  {short(BINARY)} diff -c {short(place.configuration)}")
    say("to stop       Ctrl-C\n")


def certificates(place):
    """What the server says of its names, or None while nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", place.status, timeout=2)
        connection.request("GET", "/certificates")
        return json.loads(connection.getresponse().read())["certificates"]
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return None


def show_table(place, name):
    """The server's own table, and what to try."""
    say("")
    subprocess.run([BINARY, "status", "-c", place.configuration], check=False)
    if name:
        resolve = "" if is_local(name) else f"--resolve {name}:{place.tls}:127.0.0.1 "
        say(f"\ncurl --cacert {short(place.roots)} {resolve}https://{name}:{place.tls}/\n")


class Show:
    """Prints the table when names have come to rest, and again after each change."""

    def __init__(self, place):
        self.place, self.shown = place, None

    def look(self):
        entries = certificates(self.place)
        if not entries or any(e["state"] in UNSETTLED for e in entries):
            return
        facts = [(e["name"], e["state"], e.get("fingerprint")) for e in entries]
        if facts == self.shown:
            return
        valid = [f for f in facts if f[1] == "valid"]
        fresh = [f for f in valid if f not in (self.shown or [])] or valid
        show_table(self.place, fresh[0][0] if fresh else None)
        if self.shown is None and fresh:
            say("(404 and 503 are right: what is served so far are certificates, not services)\n")
        self.shown = facts


def serve(place, ca):
    """Runs the server to its end and gives its exit code."""
    watchdog = Watchdog(ca, lambda: say("the CA answers no more: started anew, with new roots"))
    command = [short(BINARY), "run", "-c", short(place.configuration), short(place.file)]
    say("$ " + " ".join(command))
    server = subprocess.Popen(
        command, cwd=TOP, preexec_fn=processes.die_with_parent, process_group=0
    )
    # a group of its own: the terminal's Ctrl-C comes to us alone, and we pass it on
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: server.send_signal(n))
    # the terminal was closed: to the server, SIGHUP would only be a reason to read its file again
    signal.signal(signal.SIGHUP, lambda n, _: server.terminate())
    show, starts = Show(place), ca.starts
    try:
        while server.poll() is None:
            time.sleep(LOOK_EVERY)
            show.look()
            if ca.starts != starts and ca.is_answering(1):
                starts = ca.starts
                place.add_root(ca)
        return server.returncode
    finally:
        watchdog.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default=os.path.join(TOP, "build", "run"))
    parser.add_argument("--file", default=os.path.join(TOP, "kong.yaml"))
    parser.add_argument("--plain", type=int, default=PLAIN)
    parser.add_argument("--tls", type=int, default=TLS)
    parser.add_argument("--status", type=int, default=STATUS)
    place = Place(parser.parse_args())
    lock = place.take()
    place.empty()
    if not os.path.exists(place.file):
        shutil.copyfile(os.path.join(TOP, "kong.yaml.example"), place.file)
        say(f"{short(place.file)} is new: a copy of kong.yaml.example")
    ca = Pebble(os.path.join(place.folder, "ca"), place.plain)
    try:
        ca.start()
        place.add_root(ca)
        place.write_configuration(ca)
        greet(place, ca)
        return serve(place, ca)
    finally:
        ca.stop()
        lock.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
