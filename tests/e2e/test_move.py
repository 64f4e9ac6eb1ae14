"""From one CA to another: the file's api_uri changes, or acme_server comes and goes."""

import os
import threading

import processes
from fake_ca import Reply
from harness import Case, document


class Move(Case):
    def bundle(self, *cas):
        """The settings that trust them all."""
        path = os.path.join(self.folder, "trusted.pem")
        with open(path, "w", encoding="ascii") as f:
            for ca in cas:
                with open(ca.certificate, encoding="ascii") as one:
                    f.write(one.read())
        return {"acme_trusted_certificate": path}

    def test_what_failed_is_tried_at_the_other_one(self):
        """What one CA refuses for a while says nothing of another."""
        ports = processes.free_port(), processes.free_port()
        new = self.pebble(ports[0])
        old = self.fake_ca(new, lambda request: Reply.problem(500, "serverInternal", "away")
                           if request.kind == "new-order" else None)  # fmt: skip
        s = self.server(document(["a.test"], {"api_uri": old.url}), settings=self.bundle(new), ports=ports)
        s.start()
        s.wait_state("a.test", "failing")
        s.write(document(["a.test"], {"api_uri": new.url}))
        s.wait_valid(["a.test"])
        self.assertEqual(0, s.certificates()["a.test"]["failures"])

    def test_served_until_the_other_one_has_issued(self):
        ports = processes.free_port(), processes.free_port()
        old, new = self.pebble(ports[0], "old"), self.pebble(ports[0], "new")
        opened = threading.Event()

        def before(request):
            if request.kind == "new-order":
                opened.wait(20)

        front = self.fake_ca(new, before)
        s = self.server(document(["a.test"], {"api_uri": old.url}), settings=self.bundle(old, new), ports=ports)
        s.start()
        s.wait_valid(["a.test"])
        first = s.fingerprint("a.test")
        s.write(document(["a.test"], {"api_uri": front.url}))
        processes.wait_until("the other CA is asked", lambda: front.orders("a.test"), 20, 0.05)
        self.assertEqual(first, s.fingerprint("a.test"), "it is served on")
        told = s.verb("explain", "a.test").stdout
        self.assertIn("served       the managed certificate", told)
        opened.set()
        s.wait_fingerprint("a.test", lambda seen: seen != first)
        s.wait_valid(["a.test"])

    def test_acme_server_comes_and_goes(self):
        ports = processes.free_port(), processes.free_port()
        old, new = self.pebble(ports[0], "old"), self.pebble(ports[0], "new")
        opened = threading.Event()

        def before(request):
            if request.kind == "new-order":
                opened.wait(20)

        front = self.fake_ca(new, before)
        s = self.server(document(["a.test", "*.on.test"], {"api_uri": old.url}), settings=self.bundle(old, new), ports=ports)
        s.start()
        s.shake_hands("x.on.test")
        s.wait_valid(["a.test", "x.on.test"])
        first, demanded = s.fingerprint("a.test"), s.fingerprint("x.on.test")
        s.stop()
        s.write_settings(acme_server=front.url)
        self.replaces(s, old.url)
        for _ in range(2):
            s.start()
            processes.wait_until("the new CA is asked", lambda: front.orders("a.test"), 20, 0.05)
            self.assertEqual(first, s.fingerprint("a.test"), "it is served on")
            self.assertEqual(demanded, s.fingerprint("x.on.test"), "a visitor's name too")
            self.replaces(s, old.url)
            s.kill()
        opened.set()
        s.start()
        s.wait_fingerprint("a.test", lambda seen: seen != first)
        s.wait_fingerprint("x.on.test", lambda seen: seen != demanded)
        s.wait_valid(["a.test", "x.on.test"])
        s.stop()
        s.write_settings(acme_server=None)
        s.start()
        self.assertEqual(first, s.fingerprint("a.test"), "the file's own CA has a valid one")
        self.assertEqual("keep", s.diff()["actions"][0]["action"])

    def replaces(self, server, directory):
        """The plan says which CA's certificate it replaces."""
        action = server.diff()["actions"][0]
        said = f"replaces the certificate of another CA, {directory}"
        self.assertIn(action["action"], ("issue", "wait"))
        self.assertIn(said, action["because"]["text"])
        self.assertIn(said, " ".join(server.verb("diff").stdout.split()))
