"""Several workers: what they know, what happens when one stops, dies, or all are replaced."""

import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import time

import processes
import server
from fake_ca import challenge_of
from harness import Case, Load, declared, document
from processes import wait_until

ACKNOWLEDGE = 5.0  # seconds until a worker that does not acknowledge is replaced
QUICK = 3.0  # seconds after which an end that is not a drain would have cut everything off
CONNECTIONS = 64  # by chance, 4 workers all get one: (3/4)^64 misses


class Tokens(Case):
    def test_ca_is_told_last(self):
        """When the CA hears of a challenge, every worker answers it already."""
        unknown, asked = [], []

        def before(request):
            if request.kind != "challenge" or request.payload is None:
                return None
            name, token = challenge_of(ca, request)
            asked.append(name)
            for _ in range(CONNECTIONS):
                answer = s.ask(f"/.well-known/acme-challenge/{token}", name)
                if answer.status != 200 or not answer.body.startswith(token.encode() + b"."):
                    unknown.append((name, answer.status))
            return None

        names = [f"n{i}.test" for i in range(6)]
        ca, s = self.pair(document(names), {"nginx_worker_processes": "4"}, before=before)
        s.start()
        self.assertEqual(4, len(s.workers))
        s.wait_valid(names, bound=60)
        self.assertEqual(sorted(names), sorted(set(asked)))
        self.assertEqual([], unknown)

    def test_stopped_worker_delays_by_its_bound(self):
        stopped = []

        def before(request):
            if request.kind == "authorization" and not stopped:
                stopped.append((s.workers[0], time.monotonic()))
                os.kill(stopped[0][0], signal.SIGSTOP)

        ca, s = self.pair(document(["a.test"]), {"nginx_worker_processes": "4"}, before=before)
        s.start()
        s.wait_state("a.test", "valid", bound=30)
        pid, at = stopped[0]
        told = ca.of_kind("challenge")[0].at - at
        self.assertGreater(told, ACKNOWLEDGE - 1, "told before all acknowledged")
        self.assertLess(told, ACKNOWLEDGE + 5)
        wait_until("it is replaced", lambda: not processes.is_running(pid) and len(s.workers) == 4)

    def test_restarted_control_waits_for_silent_workers(self):
        """A worker that has not greeted the new control yet still answers at its sockets."""
        stopped = []

        def before(request):
            if request.kind == "authorization" and not stopped:
                stopped.append((s.workers[0], time.monotonic()))
                os.kill(stopped[0][0], signal.SIGSTOP)
                os.kill(s.control, signal.SIGKILL)

        ca, s = self.pair(document(["a.test"]), {"nginx_worker_processes": "4"}, before=before)
        s.start()
        s.wait_state("a.test", "valid", bound=30)
        told = ca.of_kind("challenge")[0].at - stopped[0][1]
        self.assertGreater(told, ACKNOWLEDGE - 1, "told before all acknowledged")


class OldWorkers(Case):
    """After SIGUSR2 a worker of before, which no token reaches, still accepts: the CA is not told."""

    def check(self, meanwhile):
        told_early = []

        def before(request):
            if request.kind == "challenge" and request.payload is not None:
                told_early.extend(p for p in old if processes.is_running(p) and not continued)

        continued = []
        ca, s = self.pair(document([]), {"nginx_worker_processes": "2"}, before=before)
        s.start()
        old = [s.workers[0]]
        os.kill(old[0], signal.SIGSTOP)
        os.kill(s.process.pid, signal.SIGUSR2)
        wait_until("the new ones serve", lambda: s.events("upgrade_done"), 30)
        s.write(document(["a.test"]))
        wait_until("an order is under way", lambda: ca.of_kind("authorization"))
        meanwhile(s)
        for _ in range(CONNECTIONS):  # time enough to tell, and by chance the old one's sockets
            s.ask()
        self.assertEqual([], ca.of_kind("challenge"))
        self.assertTrue(processes.is_running(old[0]))
        continued.append(True)
        return ca, s, old[0], told_early

    def finish(self, s, told_early):
        s.wait_valid(["a.test"])
        self.assertEqual([], told_early)

    def test_until_it_accepts_no_more(self):
        ca, s, old, told_early = self.check(lambda s: None)
        os.kill(old, signal.SIGCONT)
        self.finish(s, told_early)

    def test_until_it_is_dead(self):
        ca, s, old, told_early = self.check(lambda s: None)
        os.kill(old, signal.SIGKILL)
        self.finish(s, told_early)

    def test_over_the_deaths_of_others(self):
        """Who takes the place of control, or of a new worker, knows of the old one, too."""

        def meanwhile(s):
            for victim in (s.workers[1], s.control):
                os.kill(victim, signal.SIGKILL)
                wait_until("it is dead", lambda: not processes.is_running(victim))
            wait_until("all are there", lambda: len(s.workers) == 3 and s.state("a.test"))

        ca, s, old, told_early = self.check(meanwhile)
        os.kill(old, signal.SIGCONT)
        self.finish(s, told_early)


class UnderLoad(Case):
    NAMES = [f"n{i}.test" for i in range(20)]

    def loaded(self, workers=2, **settings):
        text = document(["m.test"], certificates=[declared(n) for n in self.NAMES])
        ca, s = self.pair(text, {"nginx_worker_processes": str(workers), **settings})
        s.start()
        s.wait_valid(["m.test"])
        load = self.keep(Load(s, [*self.NAMES, "m.test"]))
        load.wait_for(50)
        return ca, s, load

    def test_worker_killed(self):
        ca, s, load = self.loaded()
        for _ in range(3):
            victim = s.workers[0]
            before = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            after = time.monotonic()
            wait_until("it is replaced", lambda: len(set(s.workers) - {victim}) == 2)
            load.wait_for(100)
            self.assertEqual([], load.failures_outside(before, after), "its own connections alone")
            load.attempts.clear()

    def test_worker_that_dies_again_and_again(self):
        """While its slot is empty, up to 5 s, another accepts what the kernel gives that slot."""

        def first_slot():
            return [p for p in s.workers if "--slot=0" in processes.command_of(p)]

        ca, s, load = self.loaded(log_level="info")
        for _ in range(4):
            (victim,) = wait_until("it is there", first_slot)
            os.kill(victim, signal.SIGKILL)
            wait_until("it is seen", lambda: victim not in first_slot())
        load.stop()
        waits = []
        while not first_slot():
            began = time.monotonic()
            s.shake_hands(self.NAMES[0])
            waits.append(time.monotonic() - began)
        self.assertGreater(len(waits), 10)
        self.assertLess(max(waits), 3)
        wait_until("both serve", lambda: len(s.events("slot_covered")) and len(s.workers) == 2)
        for _ in range(CONNECTIONS):
            s.shake_hands(self.NAMES[0])

    def test_control_killed(self):
        ca, s, load = self.loaded()
        for number in range(3):
            victim = s.control
            os.kill(victim, signal.SIGKILL)
            wait_until("there is another", lambda: [p for p in s.children("control") if p != victim])
            s.write(document([f"new{number}.test", "m.test"], certificates=[declared(n) for n in self.NAMES]))
            s.wait_state(f"new{number}.test", "valid", bound=40)
        load.wait_for(50)
        self.assertEqual([], load.failures())

    def test_upgrade(self):
        """SIGUSR2: another binary in the same process, other children, no failed request."""
        ca, s, load = self.loaded()
        before = set(processes.tree_of(s.process.pid)) - {s.process.pid}
        os.kill(s.process.pid, signal.SIGUSR2)
        wait_until(
            "all children are new",
            lambda: not any(map(processes.is_running, before)) and len(s.workers) == 2,
            60,
        )
        self.assertIsNone(s.process.poll())
        load.wait_for(100)
        self.assertEqual([], load.failures())
        s.write(document(["m.test", "later.test"], certificates=[declared(n) for n in self.NAMES]))
        s.wait_valid(["later.test"])

    def test_reloads(self):
        ca, s, load = self.loaded()
        for number in range(6):
            names = [*self.NAMES, f"extra{number}.test"]
            text = document(["m.test"], certificates=[declared(n) for n in names])
            generation = s.status_json()["generation"]
            s.write(text)
            wait_until("it is taken", lambda: s.status_json()["generation"] > generation)
        load.wait_for(50)
        self.assertEqual([], load.failures())


class Drain(Case):
    def check(self, number, sends=None):
        s = self.running = self.server(document(certificates=[declared("d.test")]))
        s.start()
        with socket.create_connection(("127.0.0.1", s.tls), 10) as raw:
            context = server.client_context()
            with context.wrap_socket(raw, server_hostname="d.test") as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: d.test\r\n")
                (sends or s.process.send_signal)(number)
                wait_until("nobody is taken in any more", lambda: self.is_refused(s))
                if sends:
                    time.sleep(QUICK)
                tls.sendall(b"Connection: close\r\n\r\n")
                text = b""
                while more := tls.recv(4096):
                    text += more
        self.assertTrue(text.startswith(b"HTTP/1.1 404 "), text[:60])
        self.assertEqual(0, s.process.wait(35))

    def test_sigquit_from_the_terminal(self):
        """Ctrl-\\ goes to all processes at once: none of them dies of it."""
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        os.killpg(s.process.pid, signal.SIGQUIT)
        self.assertEqual(0, s.process.wait(35))
        self.assertNotIn("signal=3", s.log_text())

    def is_refused(self, s):
        try:
            socket.create_connection(("127.0.0.1", s.plain), 2).close()
            return False
        except OSError:
            return True

    def test_sigterm(self):
        self.check(signal.SIGTERM)

    def test_sigterm_to_all(self):
        """As service managers send it: to every process of the group."""
        self.check(signal.SIGTERM, lambda number: os.killpg(self.running.process.pid, number))

    def test_sigquit(self):
        self.check(signal.SIGQUIT)

    def test_sigint_is_quick(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        with socket.create_connection(("127.0.0.1", s.plain), 10):
            began = time.monotonic()
            self.assertEqual(0, s.stop(signal.SIGINT))
            self.assertLess(time.monotonic() - began, 10)


class Tickets(Case):
    def test_shared_by_workers(self):
        """A session that one worker began goes on with any."""
        s = self.server(
            document(certificates=[declared("d.test")]), settings={"nginx_worker_processes": "4"}
        )
        s.start()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = server.client_context(version=version)
            first = s.shake_hands("d.test", context=context)
            self.assertFalse(first.resumed)
            resumed = [
                s.shake_hands("d.test", context=context, session=first.session).resumed
                for _ in range(24)
            ]
            self.assertEqual(24, sum(resumed))


    def test_kept_over_deaths_and_upgrade(self):
        """Control's keys outlive it: what its predecessor's workers began goes on."""
        s = self.server(
            document(certificates=[declared("d.test")]), settings={"nginx_worker_processes": "2"}
        )
        s.start()
        contexts = [
            server.client_context(version=v) for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        ]
        sessions = [s.shake_hands("d.test", context=c).session for c in contexts]

        def check():
            for context, session in zip(contexts, sessions):
                for _ in range(24):
                    self.assertTrue(s.shake_hands("d.test", context=context, session=session).resumed)

        for find in (lambda: [s.control], lambda: s.workers[:1]):
            (victim,) = find()
            os.kill(victim, signal.SIGKILL)
            wait_until("there is another", lambda: victim not in s.children("control") + s.workers)
            wait_until("all are there", lambda: s.control and len(s.workers) == 2)
            check()
        before = processes.children_of(s.process.pid)
        os.kill(s.process.pid, signal.SIGUSR2)
        wait_until("all are new", lambda: not any(map(processes.is_running, before)), 60)
        check()


class Privileges(Case):
    def as_user(self, uid, *command):
        """The exit code of a command as that user."""
        return subprocess.run(
            command, user=uid, group=uid, extra_groups=[], capture_output=True, cwd="/", timeout=60
        ).returncode

    def test_control_has_its_own_user(self):
        """What it kept as nobody is taken over; then nobody has no part in it any more."""
        if os.geteuid() != 0:
            self.skipTest("only root can become others")
        nobody, daemon = (pwd.getpwnam(name).pw_uid for name in ("nobody", "daemon"))
        ca, s = self.pair(document(["a.test"]), {"acme_user": "nobody nogroup"})
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        s.stop()
        s.write_settings(acme_user="daemon")
        s.start()
        self.assertEqual(before, s.fingerprint("a.test"))
        self.assertEqual(1, len(s.events("prefix_taken_over")))
        for folder, folders, files in os.walk(s.prefix):
            for name in [".", *files]:
                self.assertEqual(daemon, os.lstat(os.path.join(folder, name)).st_uid, name)
        for pid in [s.control, s.watcher, *s.workers]:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                uid = int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M)[1])
            self.assertEqual(nobody if pid in s.workers else daemon, uid)
        self.assertIn("a.test", [c["name"] for c in s.status_json()["certificates"]])
        for uid, code in ((daemon, 0), (nobody, 1)):
            self.assertEqual(
                code, self.as_user(uid, server.BINARY, "status", "-c", s.configuration), uid
            )
        os.chmod(s.prefix, 0o711)
        os.chmod(os.path.join(s.prefix, "control.sock"), 0o666)
        self.assertEqual(1, self.as_user(nobody, server.BINARY, "status", "-c", s.configuration))
        self.assertEqual(1, len(s.events("control_socket_refused")))

    def test_install_adds_the_user(self):
        """On this machine; not where files are only laid out for another."""
        for destination, adds in (("", True), ("/elsewhere", False)):
            made = subprocess.run(
                ["make", "-n", "-s", "install", f"DESTDIR={destination}"],
                cwd=server.TOP, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            self.assertEqual(0, made.returncode, made.stderr)
            self.assertEqual(adds, "useradd --system" in made.stdout)

    def test_children_are_nobody(self):
        if os.geteuid() != 0:
            self.skipTest("only root has privileges to drop")
        s = self.server(document(certificates=[declared("d.test")]))
        os.chmod(s.file, 0o600)  # the file may be root's alone
        s.start()
        s.fingerprint("d.test")
        for pid in s.workers + [s.control, s.watcher]:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                fields = dict(line.split(":", 1) for line in f)
            self.assertNotIn("0", fields["Uid"].split(), pid)
            capabilities = int(fields["CapEff"], 16)
            self.assertIn(capabilities, (0,) if pid in s.workers else (0, 1 << 2), pid)

    def test_connections_are_counted(self):
        s = self.server(
            document(certificates=[declared("d.test")]), settings={"nginx_worker_processes": "2"}
        )
        s.start()
        load = self.keep(Load(s, ["d.test"], threads=2))
        load.wait_for(60)
        load.stop()
        self.assertEqual([], load.failures())
        total = s.ask_status("/status").json["server"]
        self.assertGreaterEqual(total["connections_handled"], 60)
