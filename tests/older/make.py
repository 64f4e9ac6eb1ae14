#!/usr/bin/env python3
"""Makes the fixtures anew: make.py BUILD, where BUILD holds the binaries of the older commit."""

import os
import shutil
import signal
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["RECONCERT_BUILD"] = os.path.abspath(sys.argv[1])
for each in ("e2e", "support"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), each))

import older  # noqa: E402
import processes  # noqa: E402
import server as server_module  # noqa: E402
from fake_ca import Reply  # noqa: E402
from harness import Case, document  # noqa: E402

GATE = ["*.wild.test"]


class Make(Case):
    def runTest(self):
        ca = self.keep(older.FarCa(os.path.join(self.folder, "ca")))
        settings = {"acme_trusted_certificate": ca.behind.certificate}
        answer = ca.before
        ca.before = lambda request: self.refuse(request) or answer(request)
        s = self.server(self.text("a.test", "b.test", "retired.test", "refused.test"), settings=settings)
        s.start(["--approve"], ca.environment)
        self.apply(s, fails=True)
        s.wait_valid(["a.test", "b.test", "retired.test"])
        processes.wait_until("it is refused", lambda: s.certificates()["refused.test"]["failures"])
        s.shake_hands("seen.wild.test")
        processes.wait_until("a visitor's name waits", lambda: s.state("seen.wild.test"))
        self.apply(s)
        s.wait_valid(older.ISSUED)
        s.write(self.text("a.test", "b.test"))
        processes.wait_until(
            "its retirement waits",
            lambda: s.certificates()["retired.test"]["next"]["action"] == "retire",
        )
        self.apply(s)
        processes.wait_until("it is retired", lambda: s.state("retired.test") is None)
        self.record(s)
        ca.before = lambda request: ca.hang() if request.kind == "new-order" else answer(request)
        s.write(self.text("a.test", "b.test", older.APPROVED))
        processes.wait_until("it waits", lambda: s.state(older.APPROVED))
        plan = self.save(s)
        with processes.start([server_module.BINARY, "apply", "-c", s.configuration, plan],
                             os.path.join(self.folder, "apply.log")) as applying:  # fmt: skip
            processes.wait_until("it is ordered", lambda: ca.orders(older.APPROVED))
            s.kill()
            applying.kill()
        self.keep_prefix(s)
        fresh = self.server(self.text(*older.PLANNED), settings=settings, name="fresh")
        os.rename(self.save(fresh), os.path.join(HERE, "plan.json"))

    @staticmethod
    def refuse(request):
        if request.kind == "new-order" and request.names == ["refused.test"]:
            return Reply.problem(400, "rejectedIdentifier", "not that one")
        return None

    def text(self, *names):
        return document([*names, *GATE], older.FILE_ACME)

    def save(self, s):
        path = os.path.join(s.folder, "plan.json")
        done = s.verb("diff", "--out", path)
        self.assertEqual(0, done.returncode, done.stderr)
        return path

    def apply(self, s, fails=False):
        done = s.verb("apply", self.save(s))
        self.assertEqual(fails, done.returncode, done.stderr)

    def keep_prefix(self, s):
        kept = os.path.join(HERE, "prefix")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(
            s.prefix, kept, ignore=lambda _, names: [n for n in names if n.endswith(".sock")]
        )

    def record(self, s):
        """What the verbs say to control.sock, and what they are answered."""
        folder = os.path.join(HERE, "control")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        verbs = {"status": ["status"], "retry": ["retry", "a.test"], "retry-all": ["retry", "--all"]}
        for name, words in verbs.items():
            with self.subTest(name):
                request, answer = self.overhear(s, words)
                for ending, data in (("request", request), ("answer", answer)):
                    with open(os.path.join(folder, f"{name}.{ending}"), "wb") as f:
                        f.write(data)

    def overhear(self, s, words):
        """Stands between a verb and the server."""
        path = os.path.join(s.prefix, "control.sock")
        aside = path + ".aside"
        os.rename(path, aside)
        heard = []

        def serve():
            client, _ = listener.accept()
            with client:
                heard.append(older.hear(client))
                heard.append(older.speak(aside, heard[0])[1])
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(heard[1])}\r\n\r\n"
                client.sendall(head.encode() + heard[1])

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            owner = os.stat(aside)
            os.chown(path, owner.st_uid, owner.st_gid)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            done = s.verb(*words)
            thread.join(10)
        os.rename(aside, path)
        self.assertEqual(0, done.returncode, done.stderr)
        return heard


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    import unittest

    sys.exit(not unittest.TextTestRunner().run(Make()).wasSuccessful())
