"""examples/local: what `make run` does, on ports of its own."""

import os
import re
import signal
import subprocess
import sys

import processes
import server
from harness import Case, declared, document

SCRIPT = os.path.join(server.TOP, "examples", "local", "run.py")


@server.needs_default_build
class MakeRun(Case):
    def setUp(self):
        super().setUp()
        self.run_folder = os.path.join(self.folder, "build", "run")
        self.file = os.path.join(self.folder, "kong.yaml")
        self.ports = [processes.free_port() for _ in range(3)]
        self.out = os.path.join(self.folder, "make-run.log")
        self.process = None

    def command(self, folder=None):
        plain, tls, status = self.ports
        return [
            sys.executable, SCRIPT, "--folder", folder or self.run_folder, "--file", self.file,
            "--plain", plain, "--tls", tls, "--status", status,
        ]  # fmt: skip

    def begin(self):
        self.process = processes.start(self.command(), self.out, env=server.clean_environment())
        self.keep(self)

    def stop(self):
        processes.stop(self.process)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_text(self, pattern, bound=40):
        def look():
            if self.process.poll() is not None:
                raise AssertionError("it ended:\n" + self.text())
            return re.search(pattern, self.text())

        return processes.wait_until(f"it prints {pattern}", look, bound, 0.1)

    def test_from_nothing_to_curl_and_back(self):
        self.begin()
        line = self.wait_text(r"(?m)^curl --cacert (\S+) (https://\S+)$")
        table = self.text()
        for name in ("shop.localhost", "api.localhost", "hello.localhost", "old.localhost"):
            self.assertRegex(table, rf"(?m)^.*{name}.*valid.*$")
        self.assertTrue(os.path.exists(self.file), "copied from the example")
        command = ["curl", "-sS", "--max-time", "10", "--cacert"]
        command += [os.path.join(server.TOP, line[1]), line[2]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("message", done.stdout)
        self.edit()
        self.second_says_what_is_in_use()
        family = processes.tree_of(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(0, self.process.wait(40))
        processes.wait_until("all is over", lambda: not any(map(processes.is_running, family)))

    def edit(self):
        """Editing kong.yaml adds a name; the printed diff command agrees before and after."""
        with open(self.file, encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r"(?m)^( *)# (- name: cart|  hosts: \[cart)", r"\1\2", text)
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)
        self.wait_text(r"(?m)^.*cart\.localhost.*valid.*$")
        words = re.search(r"what is next +(\S+) (.*)$", self.text(), re.M)
        done = server.verb(*words[2].split(), "--exit-code", cwd=server.TOP)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def second_says_what_is_in_use(self):
        before = sorted(os.listdir(self.run_folder))
        for folder in (self.run_folder, os.path.join(self.folder, "other")):
            done = subprocess.run(
                [str(w) for w in self.command(folder)],
                capture_output=True, text=True, timeout=20, check=False,
            )  # fmt: skip
            self.assertEqual(1, done.returncode)
            self.assertIn("in use", done.stderr)
            self.assertIn("--folder", done.stderr)
        self.assertEqual(before, sorted(os.listdir(self.run_folder)), "the first is left alone")
        self.assertIsNone(self.process.poll())

    def test_ends_with_a_bad_file(self):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write("nonsense: 1\n")
        self.begin()
        self.assertEqual(1, self.process.wait(30))
        self.assertIn("kong.yaml:1:1: nonsense: unknown field", self.text())

    def put(self, *names):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(document(names, certificates=[declared("d.test")]))

    def test_closed_terminal_ends_it(self):
        self.put("a.example.com")
        self.begin()
        url = r"https://a\.example\.com:"
        self.wait_text(rf"curl --cacert \S+ --resolve a\.example\.com:\d+:127\.0\.0\.1 {url}\d+/")
        family = processes.tree_of(self.process.pid)
        self.process.send_signal(signal.SIGHUP)
        self.assertEqual(0, self.process.wait(40))
        processes.wait_until("all is over", lambda: not any(map(processes.is_running, family)), 10)

    def test_ca_that_dies_is_started_anew(self):
        self.put("a.localhost")
        self.begin()
        self.wait_text(r"(?m)^.*a\.localhost.*valid.*$")
        family = processes.tree_of(self.process.pid)
        os.kill(next(p for p in family if processes.command_of(p)[0] == "pebble"), signal.SIGKILL)
        roots = os.path.join(self.run_folder, "root.pem")
        processes.wait_until("the new root is there", lambda: self.count(roots) == 2)
        self.put("a.localhost", "b.localhost")
        self.wait_text(r"(?m)^.*b\.localhost.*valid.*$")
        line = self.wait_text(r"(?m)^curl --cacert (\S+) (https://b\.localhost\S+)$")
        root = os.path.join(server.TOP, line[1])
        command = ["curl", "-sS", "--max-time", "10", "--cacert", root, line[2]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    @staticmethod
    def count(roots):
        with open(roots, encoding="ascii") as f:
            return f.read().count("BEGIN CERTIFICATE")

    def test_killed_leaves_nothing_behind(self):
        self.put("a.localhost")
        self.begin()
        self.wait_text(r"(?m)^.*a\.localhost.*valid.*$")
        family = processes.tree_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        processes.wait_until("all is over", lambda: not any(map(processes.is_running, family)), 10)
