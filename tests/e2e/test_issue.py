"""From a file to served certificates, over real http-01."""

import base64
import collections
import json
import ssl
import subprocess
import threading

import processes
import server
from harness import Case, declared, document, service

FIELDS = {
    "name", "state", "issuer", "not_before", "not_after", "fingerprint", "declared_at", "next",
    "last_error", "ca", "key_type", "failures",
}  # fmt: skip


def public_key(der):
    """What `openssl x509` says of the key: (kind and size, the key itself)."""
    done = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-text", "-pubkey"],
        input=der, capture_output=True, check=True,
    )  # fmt: skip
    text = done.stdout.decode()
    size = next(line.strip() for line in text.splitlines() if "Public-Key:" in line)
    return size, text[text.index("-----BEGIN PUBLIC KEY") :]


class Issue(Case):
    def test_names_of_all_kinds(self):
        text = document(
            ["exact.test", "*.gate.test"],
            services=[service("web", ["host.gate.test", "closed.test"], ["sni.gate.test"])],
            certificates=[declared("declared.gate.test")],
        )
        ca, s = self.pair(text)
        s.start()
        names = ["declared.gate.test", "exact.test", "host.gate.test", "sni.gate.test"]
        s.wait_valid(names)
        self.assertEqual(names, sorted(s.certificates()))
        root, trust = ca.root(), {}
        for name in names:
            served = s.shake_hands(name, context=server.client_context(root))
            entry = s.certificates()[name]
            self.assertEqual([name], served.names)
            self.assertEqual(FIELDS, set(entry))
            self.assertEqual(served.fingerprint, entry["fingerprint"].replace(":", "").lower())
            self.assertIn(served.issuer, entry["issuer"])
            self.assertEqual("renew", entry["next"]["action"])
            trust[name] = public_key(served.der)
        self.assertEqual(len(names), len({key for _, key in trust.values()}), "a key for each")
        self.assertEqual({"Public-Key: (256 bit)"}, {size for size, _ in trust.values()})
        handled = ca.handled()
        self.assertEqual((4, 4), (handled["new-order"], handled["finalize"]))

    def test_rsa_keys(self):
        _, s = self.pair(document(["r.test"], {"cert_type": "rsa", "rsa_key_size": 2048}))
        s.start()
        s.wait_valid(["r.test"])
        self.assertEqual("Public-Key: (2048 bit)", public_key(s.shake_hands("r.test").der)[0])

    def test_slow_keys_hold_nothing_up(self):
        """A file's RSA keys take minutes; its edits and the first names do not wait for the last."""
        names = [f"r{i:03}.test" for i in range(50)]
        rsa = {"cert_type": "rsa", "rsa_key_size": 4096}
        ca, s = self.pair(document(names, rsa))
        s.start()
        default = s.fingerprint()
        s.write(document(names, rsa, certificates=[declared("new.example")]))
        s.wait_fingerprint("new.example", lambda seen: seen != default, bound=60)
        server.processes.wait_until("the first is there", lambda: self.states(s)["valid"], 60)
        self.assertGreater(self.states(s)["pending"], 0, "not all keys are made by then")
        self.assertEqual(0, s.stop(bound=20), "nor does the end wait for them")

    def states(self, s):
        return collections.Counter(c["state"] for c in s.certificates().values())

    def test_long_name(self):
        """Longer than a CN may be: only the SAN holds it."""
        name = ".".join(["x" * 30] * 3) + ".test"
        ca, s = self.pair(document([name]))
        s.start()
        s.wait_valid([name])
        served = s.shake_hands(name, context=server.client_context(ca.root()))
        self.assertEqual([name], served.names)

    def test_on_demand(self):
        ca, s = self.pair(document(["*.demand.test"]))
        s.start()
        default = s.fingerprint()
        self.assertEqual({}, s.certificates())
        self.assertEqual(default, s.fingerprint("outside.test"))
        self.assertEqual(default, s.fingerprint("Shop.Demand.test"), "the first visitor")
        s.wait_valid(["shop.demand.test"])
        s.wait_fingerprint("shop.demand.test", lambda seen: seen != default)
        self.assertEqual(["shop.demand.test"], list(s.certificates()))
        self.assertEqual(1, ca.handled()["new-order"])

    def test_no_plugin_orders_nothing(self):
        text = document(services=[service("web", ["host.test"])])
        ca, s = self.pair(text)
        s.start()
        s.fingerprint("host.test")
        self.assertEqual({}, s.certificates())
        self.assertEqual(0, sum(ca.handled().values()), "no reason to ask the CA anything")

    def test_disabled_plugin_closes_the_gate(self):
        content = document(["a.test"]).replace('"name": "acme",', '"name": "acme", "enabled": false,')
        ca, s = self.pair(content)
        s.start()
        self.assertEqual({}, s.certificates())
        self.assertEqual(0, ca.handled()["new-order"])

    def test_name_that_fails_leaves_others_alone(self):
        ca, s = self.pair(document(["good.test", "bad.test"]), blocked=["bad.test"])
        s.start()
        s.wait_valid(["good.test"])
        entry = s.wait_state("bad.test", "failing", "blocked")
        self.assertIn("rejectedIdentifier", str(entry["last_error"]))
        self.assertEqual(2, ca.handled()["new-order"])

    def test_many_names_in_one_batch(self):
        names = [f"n{i:02}.test" for i in range(60)]
        ca, s = self.pair(document(names), nonce_reject=5)
        s.start()
        s.wait_valid(names, bound=60)
        self.assertEqual(60, len({c["fingerprint"] for c in s.certificates().values()}))

    def test_manners(self):
        """RFC 8555 6.1 and 6.5: a User-Agent, one nonce to begin with, one account."""
        names = [f"n{i}.test" for i in range(8)]
        ca, s = self.pair(document(names), before=lambda request: None)
        s.start()
        s.wait_valid(names)
        agents = {r.headers["User-Agent"] for r in ca.requests}
        self.assertEqual(1, len(agents))
        self.assertRegex(agents.pop(), r"^reconcert/[0-9]")
        self.assertEqual({"en"}, {r.headers["Accept-Language"] for r in ca.requests})
        self.assertEqual(1, len([r for r in ca.of_kind("account") if "sign-me-up" in r.path]))
        self.assertLessEqual(len(ca.of_kind("nonce")), len(names), "one each to begin with, at most")
        self.assertTrue(all(r.headers["Content-Type"] == "application/jose+json"
                            for r in ca.requests if r.method == "POST"))  # fmt: skip
        self.assertEqual(8, ca.orders())
        self.assertTrue(all(ca.orders(name) == 1 for name in names))

    def test_a_single_name_does_not_wait(self):
        """No step waits for a batch to fill: a second is far more than seven requests need."""
        done = threading.Event()
        ca, s = self.pair(document(["one.test"]), before=lambda r: done.set() and None)
        s.start()
        s.wait_valid(["one.test"])
        first, last = ca.of_kind("new-order")[0].at, ca.of_kind("certificate")[0].at
        self.assertLess(last - first, 2.0)

    def test_chain_is_complete(self):
        ca, s = self.pair(document(["c.test"]), chain_length=2)
        s.start()
        s.wait_valid(["c.test"])
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{s.tls}", "-servername", "c.test",
             "-showcerts"], input="", capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        self.assertEqual(3, done.stdout.count("-----BEGIN CERTIFICATE-----"))
        s.shake_hands("c.test", context=server.client_context(ca.root()))

    def test_preferred_chain(self):
        """Of the chains that the CA offers, the one whose last certificate that root has issued."""
        ca, s = self.pair(document(["c.test"]), alternate_roots=2)
        roots = [ca.root(number) for number in range(3)]
        name = dict(pair[0] for pair in self.subject(roots[2]))["commonName"]
        s.write(document(["c.test"], {"preferred_chain": name}))
        s.start()
        s.wait_valid(["c.test"])
        s.shake_hands("c.test", context=server.client_context(roots[2]))
        with self.assertRaises(ssl.SSLCertVerificationError):
            s.shake_hands("c.test", context=server.client_context(roots[0]))

    def subject(self, pem):
        context = server.client_context(pem)
        return context.get_ca_certs()[0]["subject"]

    def test_preferred_chain_that_is_not_offered(self):
        """The CA's own choice, then, and it is said: a name is no reason to go without."""
        ca, s = self.pair(document(["c.test"], {"preferred_chain": "No Such Root"}), alternate_roots=1)
        s.start()
        s.wait_valid(["c.test"])
        s.shake_hands("c.test", context=server.client_context(ca.root()))
        (condition,) = s.status_json()["conditions"]
        self.assertEqual(("preferred_chain_missing", "note"), (condition["condition"], condition["level"]))
        self.assertIn('no chain under the preferred "No Such Root"', condition["text"])
        self.assertIn('No Such Root', s.verb("status").stdout)
        self.assertIn('not under the preferred "No Such Root"', s.verb("explain", "c.test").stdout)
        s.write(document(["c.test"]))
        processes.wait_until("it is over", lambda: not s.status_json()["conditions"], 30)
        self.assertNotIn("No Such Root", s.verb("explain", "c.test").stdout)

    def test_account_key_of_the_file(self):
        """As PEM or as JWK: the account is that key's, and one key has one account."""
        pem = subprocess.run(
            ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        public = subprocess.run(
            ["openssl", "pkey", "-pubout"], input=pem, capture_output=True, text=True, check=True
        ).stdout
        key = {"name": "account", "kid": "1", "pem": {"private_key": pem, "public_key": public}}
        acme = {"account_key": {"key_id": "1"}}
        ca, s = self.pair(document(["a.test"], acme, keys=[key]), before=lambda request: None)
        s.start()
        s.wait_valid(["a.test"])
        created = ca.of_kind("account")
        self.assertEqual({"RS256"}, {self.header(r)["alg"] for r in created})
        other = self.server(document(["b.test"], acme, keys=[key]), ca, name="other",
                            ports=(s.plain, s.tls))  # fmt: skip
        s.stop()
        other.start()
        other.wait_valid(["b.test"])
        urls = {r.reply.headers["Location"] for r in ca.of_kind("account") if r.reply.status in (200, 201)}
        self.assertEqual(1, len(urls), "found again by its key")

    def header(self, request):
        text = json.loads(request.body)["protected"]
        return json.loads(base64.urlsafe_b64decode(text + "=="))

    def test_both_tls_versions(self):
        ca, s = self.pair(document(["v.test"]))
        s.start()
        s.wait_valid(["v.test"])
        root = ca.root()
        for version, word in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = server.client_context(root, version, ["h2", "http/1.1"])
            served = s.shake_hands("v.test", context=context)
            self.assertEqual((word, "http/1.1"), (served.version, served.alpn))
        old = server.client_context(version=ssl.TLSVersion.TLSv1_1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises(OSError):
            s.shake_hands("v.test", context=old)

    def test_external_account_binding(self):
        kid, key = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
        ca, s = self.pair(
            document(["eab.test"], {"eab_kid": kid, "eab_hmac_key": key}), eab={kid: key}
        )
        s.start()
        s.wait_valid(["eab.test"])

    def test_missing_account_binding_is_said(self):
        ca, s = self.pair(document(["eab.test"]), eab={"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV"})
        s.start()
        server.processes.wait_until("it is said", lambda: "xternal" in str(s.status_json()))
        self.assertEqual(0, ca.handled()["new-order"])
