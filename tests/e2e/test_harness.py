"""The harness itself: the CA, the fake before it, the gate, the repeat of a locked-up test."""

import json
import os
import signal
import ssl
import time
import urllib.error
import urllib.request

import processes
import server
from fake_ca import ChallengeGate, Drop, Reply
from harness import Case, Load, declared, document, self_signed


class Harness(Case):
    def open(self, ca, url):
        context = ssl.create_default_context(cafile=getattr(ca, "behind", ca).certificate)
        return urllib.request.urlopen(url, timeout=10, context=context)

    def test_fake_ca_passes_on(self):
        ca = self.fake_ca(self.pebble(processes.free_port()))
        with self.open(ca, ca.url) as reply:
            directory = json.load(reply)
        self.assertTrue(directory["newOrder"].startswith(ca.url.removesuffix("/dir")))
        with self.open(ca, directory["newNonce"]) as reply:
            self.assertTrue(reply.headers["Replay-Nonce"])
        self.assertEqual(["directory", "nonce"], [r.kind for r in ca.requests])
        self.assertEqual(1, ca.behind.handled()["directory"])

    def test_fake_ca_replaces_and_drops(self):
        def before(request):
            if request.kind == "directory":
                return Reply.problem(503, "serverInternal", Retry_After="3")
            raise Drop

        ca = self.fake_ca(self.pebble(processes.free_port()), before)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.open(ca, ca.url)
        self.assertEqual((503, "3"), (caught.exception.code, caught.exception.headers["Retry-After"]))
        with self.assertRaises(OSError):
            self.open(ca, ca.url.replace("/dir", "/nonce-plz"))
        self.assertEqual(0, sum(ca.behind.handled().values()))

    def test_gate_notes_fetches(self):
        gate = self.keep(ChallengeGate())
        fake = self.fake_ca(self.pebble(processes.free_port()))
        gate.behind = fake.port  # whatever listens; it will not like plain HTTP
        try:
            server.ask(gate.port, "/.well-known/acme-challenge/x", "a.test")
        except OSError:
            pass
        self.assertEqual([("a.test", "/.well-known/acme-challenge/x")], [f[1:] for f in gate.fetches])

    def test_locked_up_pebble_is_repeated_once(self):
        ca = self.pebble(processes.free_port())
        ca.stop()
        ca.restart()  # keeps its address
        watchdog = self._watchdogs[-1]
        first = not getattr(type(self), "has_locked_up", False)
        type(self).has_locked_up = True
        if first:
            watchdog.every = watchdog.bound = 0.5
            os.kill(ca.process.pid, signal.SIGSTOP)
            processes.wait_until("the watchdog barks", lambda: self.wedged, 15)
            self.fail("this failure is the one that is repeated")
        self.assertTrue(ca.is_answering(5))

    def test_documents(self):
        text = document(["a.test"], certificates=[declared("b.test", sni_tags=["acme:off"])])
        content = json.loads(text)
        self.assertEqual(["a.test"], content["plugins"][0]["config"]["domains"])
        self.assertEqual("b.test", content["certificates"][0]["snis"][0]["name"])
        self.assertIn("BEGIN CERTIFICATE", self_signed("b.test")[0])

    def test_load_counts_failures(self):
        port = processes.free_port()
        load = Load(type("Nobody", (), {"tls": port}), ["a.test"], threads=2, pause=0.01)
        load.wait_for(10)
        load.stop()
        self.assertEqual(len(load.attempts), len(load.failures()))
        self.assertFalse(load.failures_outside(0, time.monotonic()))
