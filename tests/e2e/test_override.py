"""A managed certificate overrides a declared one, and gives way again."""

import hashlib
import json
import os
import ssl
import threading

import server
from harness import Case, declared, document, self_signed
from processes import wait_until


def fingerprint_of(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class Override(Case):
    def test_declared_until_managed(self):
        go_on = threading.Event()

        def before(request):
            if request.kind == "challenge":
                go_on.wait(60)

        pair = self_signed("old.test")
        ca, s = self.pair(document(["*.test"], certificates=[declared("old.test", pair=pair)]), before=before)
        before_start = s.diff()["actions"]
        self.assertEqual([("issue", "old.test")], [(a["action"], a["name"]) for a in before_start])
        self.assertEqual("old.test", before_start[0]["overrides"]["sni"])
        self.assertRegex(before_start[0]["overrides"]["declared_at"][0], r"kong\.yaml:\d+:\d+$")
        s.start()
        wait_until("the challenge is asked for", lambda: ca.of_kind("challenge"))
        self.assertEqual(fingerprint_of(pair[0]), s.fingerprint("old.test"), "served meanwhile")
        go_on.set()
        s.wait_valid(["old.test"])
        s.wait_fingerprint("old.test", lambda seen: seen != fingerprint_of(pair[0]))
        s.shake_hands("old.test", context=server.client_context(ca.behind.root()))
        after = s.diff()
        self.assertEqual((1, 0), (after["summary"]["keep"], after["summary"]["override"]))

    def test_tag_off_leaves_it_alone(self):
        on_entity, on_sni = self_signed("a.test"), self_signed("b.test")
        text = document(
            ["*.test"],
            certificates=[
                declared("a.test", pair=on_entity, tags=["acme:off"]),
                declared("b.test", pair=on_sni, sni_tags=["acme:off"]),
                declared("c.test"),
            ],
        )
        ca, s = self.pair(text)
        s.start()
        s.wait_valid(["c.test"])
        self.assertEqual(["c.test"], list(s.certificates()))
        self.assertEqual(fingerprint_of(on_entity[0]), s.fingerprint("a.test"))
        self.assertEqual(fingerprint_of(on_sni[0]), s.fingerprint("b.test"))
        self.assertEqual(1, ca.handled()["new-order"])
        tagged = document(["*.test"], certificates=[declared("c.test", tags=["acme:off"])])
        path = os.path.join(self.folder, "tagged.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(tagged)
        [retired] = [a for a in s.diff(path)["actions"] if a["name"] == "c.test"]
        self.assertEqual(("retire", "left_alone"), (retired["action"], retired["because"]["reason"]))
        self.assertIn("acme:off", retired["because"]["text"])
        s.write(tagged)
        [told] = wait_until("it is retired", lambda: s.events("certificate_retired"))
        self.assertIn("acme:off", told["because"])

    def test_gate_closes_and_opens(self):
        pair = self_signed("old.test")
        entry = declared("old.test", pair=pair)
        opened = document(["*.test"], certificates=[entry])
        closed = document(["other.test"], certificates=[entry])
        ca, s = self.pair(opened)
        s.start()
        s.wait_valid(["old.test"])
        managed = s.fingerprint("old.test")
        s.write(closed)
        s.wait_fingerprint("old.test", lambda seen: seen == fingerprint_of(pair[0]))
        s.write(opened)
        s.wait_fingerprint("old.test", lambda seen: seen == managed)
        self.assertEqual(2, ca.handled()["new-order"], "old.test and other.test, once each")

    def test_expired_gives_way_to_declared(self):
        pair = self_signed("old.test")
        ca, s = self.pair(
            document(["*.test"], certificates=[declared("old.test", pair=pair)]), validity=12
        )
        s.start()
        s.wait_valid(["old.test"])
        ca.stop()
        s.wait_fingerprint("old.test", lambda seen: seen == fingerprint_of(pair[0]), bound=40)
        self.assertIn(s.state("old.test"), ("expired", "failing"))

    def test_wildcard_does_not_stop_an_exact_name(self):
        text = document(["shop.wild.test"], certificates=[declared("*.wild.test")])
        ca, s = self.pair(text)
        s.start()
        s.wait_valid(["shop.wild.test"])
        exact, wild = s.fingerprint("shop.wild.test"), s.fingerprint("other.wild.test")
        self.assertNotEqual(exact, wild)

    def test_override_by_editing(self):
        pair = self_signed("old.test")
        plain = json.loads(document(certificates=[declared("old.test", pair=pair)]))
        ca, s = self.pair(json.dumps(plain))
        s.start()
        self.assertEqual(fingerprint_of(pair[0]), s.fingerprint("old.test"))
        s.write(document(["old.test"], certificates=[declared("old.test", pair=pair)]))
        s.wait_valid(["old.test"])
        s.wait_fingerprint("old.test", lambda seen: seen != fingerprint_of(pair[0]))
