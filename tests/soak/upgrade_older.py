#!/usr/bin/env python3
"""From an older build to this one under load, by SIGUSR2: `upgrade_older.py BUILD ROUNDS`.

The older one is the commit of tests/older, built from this clone into BUILD/older. Exit code 0, 1,
or 77 with a reason where the clone does not have that commit.
"""

import os
import shutil
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
for each in ("e2e", "support"):
    sys.path.insert(0, os.path.join(TOP, "tests", each))

SKIPPED = 77
PROGRAMS = "reconcert", "reconcert-watch"
DECLARED = [f"d{i}.test" for i in range(5)]
WORKERS = 2


def build_older(commit, folder):
    """Its two programs; gives the folder in which they are."""
    source, log = os.path.join(folder, "source"), os.path.join(folder, "make.log")
    built = os.path.join(source, "build")
    if subprocess.run(["git", "-C", TOP, "cat-file", "-e", commit + "^{commit}"],
                      capture_output=True).returncode:  # fmt: skip
        print(f"skipped: {commit} is not in this clone")
        sys.exit(SKIPPED)
    if all(os.path.exists(os.path.join(built, p)) for p in PROGRAMS):
        return built
    os.makedirs(source, exist_ok=True)
    with subprocess.Popen(["git", "-C", TOP, "archive", commit], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", source], stdin=archive.stdout, check=True)
    # not with our caller's variables: BUILD= and the like are for this tree
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "BUILD"))}
    with open(log, "wb") as out:
        subprocess.run(["make", "-s", "-j2", "-C", source, "all"], env=clean, check=True,
                       stdout=out, stderr=subprocess.STDOUT)  # fmt: skip
    return built


def install(built, folder):
    """As make install does it: each is whole at any time."""
    os.makedirs(folder, exist_ok=True)
    for program in PROGRAMS:
        path = os.path.join(folder, program)
        shutil.copy(os.path.join(built, program), path + ".new")
        os.rename(path + ".new", path)


def make_test(built_older, built, rounds):
    import older
    import processes
    from harness import Case, Load, declared, document

    class UpgradeOlder(Case):
        def test_upgrade(self):
            for number in range(rounds):
                print(f"round {number + 1}", flush=True)
                self.upgrade(self.started())
                self.fresh_folder()

        def text(self, *names):
            certificates = [declared(n) for n in DECLARED]
            names = ["a.test", "b.test", *names, "*.wild.test"]
            return document(names, older.FILE_ACME, certificates=certificates)

        def started(self):
            self.ca = self.keep(older.FarCa(os.path.join(self.folder, "ca")))
            self.programs = os.path.join(self.folder, "bin")
            install(built_older, self.programs)
            settings = {
                "acme_trusted_certificate": self.ca.behind.certificate,
                "nginx_worker_processes": str(WORKERS),
            }
            s = self.server(self.text(), settings=settings)
            s.binary = os.path.join(self.programs, PROGRAMS[0])
            older.copy_prefix(s.prefix)
            s.start(environment=self.ca.environment)
            s.wait_valid(older.ISSUED)
            return s

        def upgrade(self, s):
            names = [*DECLARED, *older.ISSUED]
            served = {n: s.fingerprint(n) for n in names}
            load = self.keep(Load(s, names, threads=2, pause=0.002))
            load.wait_for(50)
            before = set(processes.tree_of(s.process.pid)) - {s.process.pid}
            install(built, self.programs)
            os.kill(s.process.pid, signal.SIGUSR2)
            processes.wait_until(
                "all are new",
                lambda: not any(map(processes.is_running, before)) and len(s.workers) == WORKERS,
                60,
            )
            processes.wait_until("it answers", lambda: s.state("a.test") == "valid", 60)
            load.wait_for(100)
            load.stop()
            self.assertEqual([], load.failures())
            self.assertEqual(served, {n: s.fingerprint(n) for n in names})
            self.assertEqual([], self.ca.sent_orders)
            s.write(self.text("later.test"))
            s.wait_valid(["later.test"], bound=60)
            s.stop()
            self.back(s, served)

        def back(self, s, served):
            """The older one again, on what the newer one wrote: a sentence, or all as it was."""
            install(built_older, self.programs)
            s.spawn(environment=self.ca.environment)
            processes.wait_until(
                "it serves, or refuses", lambda: s.process.poll() is not None or self.is_served(s, served)
            )
            if s.process.poll() is not None:
                self.assertEqual(1, s.process.returncode)
                self.assertIn("the log", s.events("start_failed")[-1]["error"])
            self.assertEqual(["later.test"], [name for _, name in self.ca.sent_orders])

        @staticmethod
        def is_served(s, served):
            try:
                return served == {n: s.fingerprint(n) for n in served} and s.state("later.test") == "valid"
            except OSError:
                return False  # not yet

    return UpgradeOlder("test_upgrade")


def main():
    built, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    os.environ["RECONCERT_BUILD"] = built
    import older

    built_older = build_older(older.COMMIT, os.path.join(built, "older"))
    test = make_test(built_older, built, rounds)
    return not unittest.TextTestRunner(verbosity=0).run(test).wasSuccessful()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
