#!/usr/bin/env python3
"""`make soak`: what e2e tries once, often, and with chance in it.

    soak.py --build build --scale 1.0 --seed 1 [WORD...]

Each round is a process of its own under tests/support/run_tests.py's rules; `soak.py --one NAME`
repeats one. The scale is how much of everything is done; the same seed draws the same events.
"""

import argparse
import concurrent.futures
import itertools
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
for each in ("e2e", "support"):
    sys.path.insert(0, os.path.join(TOP, "tests", each))

import kill_points  # noqa: E402
import memory  # noqa: E402
import processes  # noqa: E402
import run_tests  # noqa: E402
import vanish as vanishing  # noqa: E402
from fake_ca import Reply  # noqa: E402
from flood import Flood  # noqa: E402
from harness import Case, Load, declared, document, self_signed  # noqa: E402
from scripted_ca import ScriptedCa  # noqa: E402

ROUNDS = 10  # of everything, at scale 1
BOUND = 300
LOAD_SECONDS = 60
RELOADS = 100
NAMES = 100
IN_FLIGHT_MAX = 64
INTERRUPTIONS = 6
STARTS = 10
VANISHINGS = 6
SIGNAL_STORMS = 3  # in a round; each replaces every part once
SIGNAL_BOUND = 60  # what does not leave when told is killed after 30 s
CHANGES = 40
FLOOD_RATE = 1000  # names a second that strangers make up, at scale 1 ...
FLOOD_SECONDS = 60  # ... for so long
FLOOD_KEPT = 3  # certificates that fall due meanwhile ...
FLOOD_LEAD = 65  # ... and were issued so long before: what is due within a minute is in vain
FLOOD_FIRST_SECONDS = 5  # a declared name is ordered within
FLOOD_LIMITS = {"one": 50, "many": 1000}  # demands: an hour below one domain; in all
ADOPTED = 100000  # names of one file, at scale 1
ADOPTION_DEATHS = 3
DEAD_KEYS_SECONDS = 75  # a minute, and a slow machine


class Soak(Case):
    """The rounds. Each gets the words behind its name, and a source of chance."""

    def kill_ca(self, chance, step, instant, _round):
        kill_points.at_ca(self, step, instant)

    def kill_disk(self, chance, number, when, _round):
        kill_points.at_operation(self, int(number), when)

    def kill_anywhen(self, chance, _round):
        """No step at all: a moment drawn by chance, several times in one order's life."""
        names = [f"n{i}.test" for i in range(20)]
        ca, s = self.pair(document(names), nonce_reject=20, before=lambda request: None)
        s.start()
        for _ in range(3):
            time.sleep(chance.uniform(0.0, 0.4))
            os.kill(s.control, signal.SIGKILL)
        s.wait_valid(names, bound=120)
        extra = ca.orders() - len(names) - self.rejected(ca)
        self.assertLessEqual(extra, 3 * len(names))
        self.assertTrue(all(ca.orders(n) >= 1 for n in names))

    def interrupted(self, chance, _round):
        """Kills, stops and upgrades in the middle of a burst: only kills cost orders, and few."""
        names = [f"n{i:03}.test" for i in range(NAMES)]
        ca, s = self.pair(document(names), before=lambda request: time.sleep(0.01))
        s.start()
        kills = 0
        for _ in range(INTERRUPTIONS):
            time.sleep(chance.uniform(0.0, 1.0))
            event = chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2))
            print(event.name, flush=True)
            kills += event == signal.SIGKILL
            victim = s.control
            if event == signal.SIGTERM:
                s.stop()
                s.start()
                continue
            os.kill(s.process.pid if event == signal.SIGUSR2 else victim, event)
            processes.wait_until("it is replaced", lambda: s.control not in (None, victim), 60)
            processes.wait_until("it answers", s.certificates, 60)
        s.wait_valid(names, bound=200)
        made = [r for r in ca.of_kind("new-order") if not r.reply or r.reply.status == 201]
        self.assertLessEqual(len(made), NAMES + kills * IN_FLIGHT_MAX)
        self.assertLessEqual(max(sum(n in r.names for r in made) for n in names), 1 + kills)

    def rejected(self, ca):
        return len([r for r in ca.of_kind("new-order") if r.reply and r.reply.status == 400])

    def load(self, chance, _round):
        """Handshakes without end while parts die, stop, reload and are replaced."""
        names = [f"n{i}.test" for i in range(20)]
        certificates = [declared(n) for n in names]
        ca, s = self.pair(document(["m.test"], certificates=certificates),
                          {"nginx_worker_processes": "2"})  # fmt: skip
        s.start()
        s.wait_valid(["m.test"])
        load = self.keep(Load(s, [*names, "m.test"], threads=2, pause=0.005))
        deaths = []
        end = time.monotonic() + LOAD_SECONDS
        events = [self.kill_worker, self.kill_control, self.upgrade, self.reload, self.kill_watcher]
        number = 0
        while time.monotonic() < end:
            number += 1
            event = chance.choice(events)
            print(f"{number}: {event.__name__}", flush=True)
            event(s, deaths, number, certificates)
            load.wait_for(30)
        load.stop()
        bad = [a for a in load.failures() if not any(a[0] <= d[1] and a[1] >= d[0] for d in deaths)]
        self.assertEqual([], bad)
        self.assertLessEqual(len(load.failures()), 2 * len(deaths), "one a thread at most")

    def kill_worker(self, s, deaths, _number, _certificates):
        before, victim = time.monotonic(), s.workers[0]
        os.kill(victim, signal.SIGKILL)
        deaths.append((before, time.monotonic()))
        processes.wait_until("it is replaced", lambda: len(set(s.workers) - {victim}) == 2)

    def kill_control(self, s, _deaths, _number, _certificates):
        victim = s.control
        os.kill(victim, signal.SIGKILL)
        processes.wait_until("it is replaced", lambda: s.control != victim)
        processes.wait_until("it answers", lambda: s.state("m.test") == "valid")

    def kill_watcher(self, s, _deaths, _number, _certificates):
        victim = s.watcher
        if victim:
            os.kill(victim, signal.SIGKILL)
            processes.wait_until("it is replaced", lambda: s.watcher not in (None, victim))

    def upgrade(self, s, _deaths, _number, _certificates):
        before = set(processes.tree_of(s.process.pid)) - {s.process.pid}
        os.kill(s.process.pid, signal.SIGUSR2)
        processes.wait_until(
            "all are new",
            lambda: not any(map(processes.is_running, before)) and len(s.workers) == 2,
            60,
        )

    def reload(self, s, _deaths, number, certificates):
        s.write(document(["m.test", f"extra{number}.test"], certificates=certificates))
        s.wait_state(f"extra{number}.test", "valid", bound=60)

    def stopped(self, chance, _round):
        """What stands still is noticed, though nobody asks anything of it; what is slow goes on."""
        text = document(certificates=[declared("d.test")])
        servers = [
            self.server(text, settings={"nginx_worker_processes": "2"}, name=n)
            for n in ("control", "worker", "loaded")
        ]
        for s in servers:
            s.start()
        control, worker = servers[0].control, servers[1].workers[0]
        kept = [*servers[0].workers, servers[1].control, servers[2].control, *servers[2].workers]
        os.kill(control, signal.SIGSTOP)
        os.kill(worker, signal.SIGSTOP)
        load = self.keep(Load(servers[2], ["d.test"], threads=4))
        processes.wait_until("control is replaced", lambda: servers[0].control != control, 60)
        processes.wait_until("the worker is", lambda: not processes.is_running(worker), 60)
        for s in servers[:2]:
            processes.wait_until("both serve", s._is_ready, 30)
            s.fingerprint("d.test")
        load.stop()
        self.assertEqual([], load.failures())
        self.assertTrue(all(map(processes.is_running, kept)))
        self.assertEqual(1, len(servers[0].events("control_silent")))
        self.assertEqual(1, len(servers[1].events("worker_silent")))

    def signals(self, chance, number):
        """Control, a worker and the watcher are killed, stopped or stopped for a while, and an
        upgrade comes in between: afterwards all are there, and what is new is served by all."""
        order = list(itertools.permutations(("control", "worker", "watcher")))[int(number) % 6]
        ca, s = self.pair(
            document([]), {"nginx_worker_processes": "2"}, before=lambda request: None
        )
        s.start()
        processes.wait_until("the watcher runs", lambda: s.watcher)
        size, names = None, []
        for storm in range(SIGNAL_STORMS):
            before = processes.children_of(s.process.pid)
            deeds = [(self.strike, part) for part in order]
            deeds.insert(chance.randrange(4), (self.strike, "upgrade"))
            for deed, part in deeds:
                deed(chance, s, part)
            processes.wait_until(
                "nobody stands still", lambda: self.is_whole(s, before), SIGNAL_BOUND, 0.1
            )
            names.append(f"n{storm}.test")
            s.write(document(names))
            s.wait_state(names[-1], "valid", bound=60)
            served = {s.fingerprint(names[-1]) for _ in range(16)}
            self.assertEqual(1, len(served), "by all workers")
            size = size or self.descriptors(s)
        self.assertLessEqual(ca.orders(), 2 * len(names))
        self.assertLessEqual(self.descriptors(s), size + 3)

    def strike(self, chance, s, part):
        deed = chance.choice(("killed", "stopped", "stopped for a while"))
        pids = {"control": s.children("control"), "worker": s.workers, "watcher": [s.watcher],
                "upgrade": [s.process.pid]}[part]  # fmt: skip
        pid = chance.choice(pids) if pids else None
        print(f"{part}: {'upgrade' if part == 'upgrade' else deed} ({pid})", flush=True)
        signals = {"killed": [signal.SIGKILL], "stopped": [signal.SIGSTOP],
                   "stopped for a while": [signal.SIGSTOP, signal.SIGCONT]}[deed]  # fmt: skip
        for each in [signal.SIGUSR2] if part == "upgrade" else signals:
            try:
                if pid:
                    os.kill(pid, each)
            except ProcessLookupError:
                pass
            time.sleep(chance.uniform(0, 0.3))

    def is_whole(self, s, before):
        """Nobody of `before` is left, nobody is stopped, and the rest answers."""
        now = processes.children_of(s.process.pid)
        return (
            not set(before) & set(now)
            and [bool(s.watcher), len(s.workers), len(now)] == [True, 2, 4]
            and not any((processes.stat_of(p) or "T")[0] == "T" for p in now)
            and s._is_ready()
        )

    def storm(self, chance, _round):
        """Reload after reload, half of them invalid: no order, no failed handshake, no growth."""
        certificates = [declared("d.test"), declared("e.test")]
        good = [document(["m.test"], certificates=certificates[: 1 + i]) for i in range(2)]
        ca, s = self.pair(good[0])
        s.start()
        s.wait_valid(["m.test"])
        load = self.keep(Load(s, ["d.test", "m.test"], threads=1, pause=0.01))
        orders = ca.handled()["new-order"]
        size = None
        for number in range(RELOADS):
            is_good = chance.random() < 0.5
            text = good[number % 2] if is_good else good[0] + f"x{number}: y\n"
            s.write(text + "\n" * (number % 7))
            if is_good:
                self.wait_taken(s)
            else:
                time.sleep(chance.uniform(0, 0.2))
            if number == RELOADS // 2:
                size = self.descriptors(s)
        s.write(good[1])
        self.wait_taken(s)
        load.stop()
        self.assertEqual([], load.failures())
        self.assertEqual(orders, ca.handled()["new-order"])
        self.assertLessEqual(self.descriptors(s), size + 3)

    def wait_taken(self, s):
        processes.wait_until("the file is good again", lambda: not s.status_json()["problems"])

    def descriptors(self, s):
        return sum(len(os.listdir(f"/proc/{p}/fd")) for p in processes.tree_of(s.process.pid))

    def nonces(self, chance, _round):
        """Half of all nonces are rejected: each name gets one certificate, no order fails."""
        names = [f"n{i:03}.test" for i in range(NAMES)]
        ca, s = self.pair(document(names), nonce_reject=50)
        s.start()
        s.wait_valid(names, bound=240)
        entries = s.certificates().values()
        self.assertEqual(NAMES, len({c["fingerprint"] for c in entries}))
        self.assertEqual({0}, {c["failures"] for c in entries})

    def restarts(self, chance, _round):
        """Start after start, some of them killed: a warm store asks the CA nothing."""
        names = [f"n{i}.test" for i in range(5)]
        ca, s = self.pair(document(names))
        s.start()
        s.wait_valid(names)
        served = {n: s.fingerprint(n) for n in names}
        asked = ca.handled()
        for _ in range(STARTS):
            if chance.random() < 0.5:
                s.stop()
            else:
                s.kill()
            s.start()
            self.assertEqual(served, {n: s.fingerprint(n) for n in names})
        self.assertFalse(set(ca.handled() - asked) - {"directory", "nonce"})

    def vanish(self, chance, _round):
        """The prefix vanishes again and again, some of it while orders are under way."""
        names = [f"n{i}.test" for i in range(5)]
        ca, s = self.pair(document(names), before=lambda request: None)
        s.start()
        s.wait_valid(names)
        for number in range(VANISHINGS):
            vanishing.WAYS[chance.choice(list(vanishing.WAYS))](s.prefix)
            time.sleep(chance.uniform(0.0, 0.5))
            names.append(f"more{number}.test")
            s.write(document(names))
            self.wait_written(s, number + 1)
        s.wait_valid(names, bound=120)
        extra = ca.orders() - len(names)
        self.assertLessEqual(extra, VANISHINGS, "at most the one that was under way")
        served = {n: s.fingerprint(n) for n in names}
        asked = ca.orders()
        s.stop()
        s.start()
        self.assertEqual(served, {n: s.fingerprint(n) for n in names})
        self.assertEqual(asked, ca.orders())

    def wait_written(self, s, count):
        processes.wait_until(
            "it is written anew", lambda: len(s.events("storage_written_anew")) >= count, 60
        )
        processes.wait_until("it is usable", lambda: not s.status_json()["conditions"], 60)

    def dead_keys(self, chance, _round):
        """Certificates come, change and go under load, files are refused: no dead key stays."""
        names = [f"d{i}.test" for i in range(6)]
        pairs, dead, made = {}, [], 0
        s = self.server(document([]), settings={"nginx_worker_processes": "2"})
        s.start()
        load = self.keep(Load(s, names, threads=1, pause=0.01))
        for number in range(CHANGES):
            name = chance.choice(names)
            dead.extend([pairs.pop(name)] if name in pairs else [])
            if chance.random() < 0.7:
                made += 1
                pairs[name] = self_signed(f"k{made}.test", key=chance.choice(["ec", "rsa"]))
            text = document(certificates=[declared(n, pair=p) for n, p in pairs.items()])
            if chance.random() < 0.2:
                s.write(text + f"x{number}: y\n")
            s.write(text)
            self.wait_taken(s)
            time.sleep(chance.uniform(0, 0.3))
        load.stop()
        needles = {
            f"{i}, {what}": bytes_
            for i, pair in enumerate(dead)
            for what, bytes_ in memory.needles_of(pair[1]).items()
        }
        processes.wait_until(
            "no dead key is left",
            lambda: not any(memory.find(p, needles) for p in [s.control, *s.workers]),
            DEAD_KEYS_SECONDS,
            1,
        )

    def adoption(self, chance, scale, _round):
        """Control dies and is upgraded while the names of a whole file are adopted: no handshake
        fails, and no name that was served falls back to the default certificate."""
        count, url = max(1000, int(ADOPTED * float(scale))), "https://127.0.0.1:1/dir"
        acme = {"cert_type": "ecc"}
        s = self.server(document([], acme), settings={"acme_server": url})
        subprocess.run([self.bench("fillstore"), s.prefix, str(count), url, "-r"], check=True)
        s.start(bound=60)
        load = self.handshakes(s, count, 8 + 40 * float(scale))
        s.write(document([f"h{i:07}.bench.test" for i in range(count)], acme))
        processes.wait_until("it begins", lambda: s.events("certificate_adopted"), 60)
        for _ in range(ADOPTION_DEATHS):
            time.sleep(chance.uniform(0.0, 1 + 5 * float(scale)))
            victim, by = s.control, chance.choice((signal.SIGKILL, signal.SIGUSR2))
            print(by.name, flush=True)
            os.kill(victim if by == signal.SIGKILL else s.process.pid, by)
            processes.wait_until("it is replaced", lambda: s.control not in (None, victim), 60)
            processes.wait_until("it has begun", s._is_ready, 60)
        meanwhile = json.loads(load.communicate()[0])
        after = json.loads(self.handshakes(s, count, 1).communicate()[0])
        print(meanwhile, after, flush=True)
        for each in (meanwhile, after):
            self.assertGreater(each["done"], 0)
            self.assertEqual((0, 0), (each["failed"], each["fallen"]))
        self.assertEqual(0, after["wrong"], "all are served")

    @staticmethod
    def bench(name):
        return os.path.join(os.environ["RECONCERT_BUILD"], "tests", "bench", name)

    def handshakes(self, s, count, seconds):
        """At a hundred of the names."""
        command = [self.bench("tlsload"), str(s.tls), f"{count}/{count // 100}", str(seconds), "4"]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def sni_flood(self, chance, where, scale, _round):
        """Strangers make up names, below one domain or many, in front of a CA that refuses some:
        declared names go first, renewals come in time, no more is kept than the bounds let."""
        seconds = max(20.0, FLOOD_SECONDS * float(scale))
        rate = max(200, FLOOD_RATE * float(scale))
        lifetime = int(2 * FLOOD_LEAD + seconds)  # due at half of it
        folder = os.path.join(self.folder, "ca")
        ca = self.keep(ScriptedCa(folder, lambda: int(time.time()), lifetime))
        answer = ca.before
        refused = set()
        ca.before = lambda request: self.limit(refused, request) or answer(request)
        acme = {"cert_type": "rsa", "rsa_key_size": 2048, "allow_any_domain": where == "many"}
        kept = [f"r{i}.kept.test" for i in range(FLOOD_KEPT)]
        domains = [*kept] if where == "many" else ["*.flood.test", *kept]
        s = self.server(document(domains, acme), ca, {"nginx_worker_processes": "2"})
        s.start()
        s.wait_valid(kept, bound=60)
        ca.lifetime = 90 * 86400
        time.sleep(FLOOD_LEAD)
        flooded_at = time.time()
        addresses = [f"127.0.{i}.{j}" for i in (1, 2) for j in range(1, 250)]
        suffix = {"one": "flood.test", "many": "test"}[where]
        flood = self.keep(Flood(s.tls, suffix, rate, addresses, chance.random()))
        waits = []
        while time.monotonic() - flood.began < seconds:
            domains.append(f"new{len(waits)}.example.test")
            began = time.monotonic()
            s.write(document(domains, acme))
            processes.wait_until(
                "it is ordered", lambda: domains[-1] in [n for _, n in list(ca.sent_orders)], 60
            )
            waits.append(round(time.monotonic() - began, 2))
            time.sleep(seconds / 10)
        reached = flood.rate_so_far()
        flood.stop()
        print(f"{reached:.0f} names a second; ordered after {waits} s", flush=True)
        self.assertLess(max(waits), FLOOD_FIRST_SECONDS)
        for name in kept:
            first, *others = [at for at, n in ca.sent_orders if n == name]
            self.assertTrue(others and others[0] < first + lifetime, f"{name}: {others}")
            self.assertGreaterEqual(others[0], flooded_at - 1, "it falls due meanwhile")
            self.assertEqual("valid", s.state(name))
        strangers = {n: c["state"] for n, c in s.certificates().items() if n not in domains}
        kept_back = [n for n, state in strangers.items() if where == "one" or state != "valid"]
        self.assertTrue(strangers)
        self.assertLessEqual(len(kept_back), FLOOD_LIMITS[where])

    @staticmethod
    def limit(refused, request):
        """The first stranger is refused by the CA for good: a limit of that name's."""
        is_stranger = request.kind == "new-order" and not re.search("kept|example", request.names[0])
        if is_stranger and (not refused or request.names[0] in refused):
            refused.add(request.names[0])
            return Reply.problem(429, "rateLimited", "too many", Retry_After="3600")
        return None

    def count(self, chance):
        print("operations:", kill_points.count_operations(self), flush=True)


def run_one(name, seed):
    """`kill_ca/new-order/done/3`: the method and its words."""
    method, *words = name.split("/")

    class One(Soak):
        def test_one(self):
            getattr(self, method)(random.Random(f"{seed}/{name}"), *words)

    result = unittest.TextTestRunner(verbosity=0, stream=sys.stderr).run(One("test_one"))
    return 0 if result.wasSuccessful() else 1


def rounds_of(scale):
    """Less than one of a kind is one."""
    return max(1, math.ceil(ROUNDS * scale - 1e-9))


def names(scale, operations):
    """All rounds; the kill points are drawn evenly."""
    for number in range(rounds_of(scale)):
        for kind in ("kill_anywhen", "interrupted", "load", "stopped", "signals", "storm", "nonces", "restarts",
                     "vanish", "dead_keys"):  # fmt: skip
            yield f"{kind}/{number}"
        for where in FLOOD_LIMITS:
            yield f"sni_flood/{where}/{scale}/{number}"
        yield f"adoption/{scale}/{number}"
        for step in kill_points.CA_STEPS:
            for instant in kill_points.INSTANTS:
                yield f"kill_ca/{step}/{instant}/{number}"
        for operation in range(1, operations + 1):
            for when in kill_points.WHENS:
                yield f"kill_disk/{operation}/{when}/{number}"


def count_operations(command):
    found = []

    def read(code, text):
        found.extend(int(n) for n in re.findall(r"^operations: (\d+)$", text, re.M))
        return run_tests.read_one(code, text)

    outcome, _ = run_tests.run(run_tests.Test("count", command + ["--one", "count"], BOUND, read), BOUND)
    if not found:
        print(f"one plain order does not work:\n{outcome.text}\n0 passed, 1 failed")
        sys.exit(1)
    return found[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*", help="only rounds that begin so")
    options = parser.parse_args()
    os.environ.setdefault("RECONCERT_BUILD", os.path.abspath(options.build))
    if options.one:
        return run_one(options.one, options.seed)
    command = [sys.executable, os.path.abspath(__file__), "--seed", options.seed]
    rounds = list(names(options.scale, count_operations(command)))
    if options.words:
        rounds = [r for r in rounds if any(r.startswith(w) for w in options.words)]
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tests = [run_tests.Test(r, [*command, "--one", r], BOUND, run_tests.read_one) for r in rounds]
        others = {"debian13": [], "upgrade_older": [str(rounds_of(options.scale))]}
        for name, words in others.items():
            if not options.words or name in options.words:
                other = [sys.executable, os.path.join(HERE, name + ".py"), options.build, *words]
                tests.append(run_tests.Test(name, other, 2 * BOUND, run_tests.read_one))
        running = {pool.submit(run_tests.run, t, t.bound): t for t in tests}
        for done in concurrent.futures.as_completed(running):
            outcome, seconds = done.result()
            passed, failed = passed + outcome.passed, failed + outcome.failed
            skipped += outcome.skipped
            if outcome.failed or outcome.text or not running[done].name.startswith("kill_"):
                run_tests.show(running[done], outcome, seconds)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
