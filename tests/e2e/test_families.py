"""A name with certificates of several key families: cert_type there and back."""

import processes
import storage_log
from fake_ca import Reply
from harness import Case, document
from test_issue import public_key

RSA = {"cert_type": "rsa", "rsa_key_size": 2048}
KEY, FURTHER = b"kong_acme:cert_key:a.test", b"reconcert:cert_key:@rsa:a.test"


class Families(Case):
    def setUp(self):
        super().setUp()
        self.is_away = False

    def before(self, request):
        if self.is_away and request.kind == "new-order":
            return Reply.problem(503, "serverInternal")
        return None

    def made(self):
        """A server whose a.test has an RSA certificate."""
        ca, s = self.pair(document(["a.test"], RSA), before=self.before)
        s.start()
        s.wait_valid(["a.test"])
        return ca, s

    def key_size(self, s):
        return public_key(s.shake_hands("a.test").der)[0]

    def said(self, s, *arguments):
        done = s.verb("explain", "a.test", *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def stored(self, s):
        """Keys of credentials, without what tells whose state they are."""
        keys = [k for k in storage_log.read(s.prefix) if b"cert_key:" in k]
        return {k[k.index(b"cert_key:") :] for k in keys}

    def wait_listed(self, s, *expected):
        """What /certificates has, as key types and reasons."""

        def listed():
            found = s.ask_status("/certificates").json["certificates"]
            return [(c["key_type"], c["next"]["because"]["reason"]) for c in found]

        processes.wait_until(f"it lists {expected}", lambda: listed() == list(expected), 30, 0.05)

    def test_cert_type_there_and_back(self):
        """What is there is kept and served until it is due: nothing is ordered for its key."""
        ca, s = self.made()
        before = s.fingerprint("a.test")
        s.write(document(["a.test"]))
        self.assertEqual({"keep"}, {a["action"] for a in s.diff()["actions"]})
        self.wait_listed(s, ("rsa-2048", "other_key_type"))
        self.assertIn("the new key will be ecdsa-p256", self.said(s))
        s.write(document(["a.test"], RSA))
        self.wait_listed(s, ("rsa-2048", "not_due"))
        self.assertEqual(before, s.fingerprint("a.test"))
        self.assertEqual(1, ca.behind.handled()["new-order"])

    def test_further_one_stands_in(self):
        """The old one is served until the new one exists, and stays in the storage."""
        _, s = self.made()
        self.assertEqual(0, s.stop())
        [key] = [key for key in storage_log.read(s.prefix) if key.endswith(KEY)]
        further = key[: -len(KEY)] + FURTHER

        def move(log):
            old = storage_log.live(log)[key]
            put = storage_log.record(log, storage_log.PUT, further, old)
            return log + put + storage_log.record(log, storage_log.DELETE, key)

        storage_log.change(s.prefix, move)
        self.is_away = True
        s.write(document(["a.test"]))
        told = self.said(s)
        self.assertIn("certificate  none in the storage", told)
        self.assertIn("certificate  rsa-2048", told)
        self.assertIn("served       the managed certificate", told)
        s.start()
        self.wait_listed(s, ("ecdsa-p256", "backoff"), ("rsa-2048", "stands_in"))
        self.assertEqual("Public-Key: (2048 bit)", self.key_size(s))
        self.assertIn("rsa-2048", self.said(s, "--against", f"http://127.0.0.1:{s.status}"))
        self.is_away = False
        self.assertEqual(0, s.verb("retry", "a.test").returncode)
        s.wait_fingerprint("a.test", lambda _: self.key_size(s) == "Public-Key: (256 bit)")
        self.assertEqual(0, s.stop())
        self.assertEqual({b"cert_key:a.test", b"cert_key:@rsa:a.test"}, self.stored(s))
        told = self.said(s)
        self.assertIn("certificate  ecdsa-p256", told)
        self.assertIn("certificate  rsa-2048", told)
        self.assertEqual(["keep"], [a["action"] for a in s.diff()["actions"]])
