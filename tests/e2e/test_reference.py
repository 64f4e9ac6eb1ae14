"""Values that stand elsewhere: {vault://env/...} and, if asked for, ${{ env "DECK_X" }}."""

import json
import os

from harness import ACME, document, self_signed
from test_cli import Cli

DECK = '_format_version: "3.0"\nservices:\n- host: ${{ env "DECK_HOST" }}\n  urll: x\n'


class Deck(Cli):
    def test_only_if_asked(self):
        environment = {"KONG_PREFIX": self.folder, "DECK_HOST": "a.test"}
        for switch in (["--deck-env"], ["--set", "acme_deck_env=on"]):
            done = self.run_verb("check", *switch, "-", stdin=DECK, environment=environment)
            self.assertEqual("-:4:3: services[1].urll: unknown field, did you mean url?\n", done.stdout)
        done = self.run_verb("check", "-", stdin=DECK, environment=environment)
        self.assertIn("-:3:", done.stdout, "the braces are YAML's")
        done = self.run_verb("check", "--deck-env", "-", stdin=DECK)
        self.assertEqual(
            "-:3:9: environment variable 'DECK_HOST' present in state file but not set\n", done.stdout
        )

    def test_verbs(self):
        text = document(['${{ env "DECK_NAME" }}'])
        path = os.path.join(self.folder, "kong.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('\\"', '"'))
        environment = {"KONG_PREFIX": self.folder + "/prefix", "DECK_NAME": "a.example.com"}
        elsewhere = "--acme-server=https://ca.test/dir"
        for verb in (["diff"], ["diff", f"--against={path}"], ["explain", "a.example.com"], ["simulate"]):
            done = self.run_verb(*verb, "--deck-env", elsewhere, path, environment=environment)
            self.assertEqual(0, done.returncode, done.stderr)
            if verb[-1] in ("diff", "a.example.com"):
                self.assertIn("a.example.com", done.stdout)
            done = self.run_verb(*verb, elsewhere, path, environment=environment)
            self.assertEqual(1, done.returncode, "without the switch it is no JSON")

    def test_server(self):
        s = self.server(document(["x${{ env `DECK_NAME` }}.test"]), settings={
            "acme_server": "https://127.0.0.1:1/dir"
        })  # fmt: skip
        s.start(["--deck-env"], environment={"DECK_NAME": "yz"})
        self.assertIn(s.state("xyz.test"), ("pending", "failing"))


class Vault(Cli):
    FIELDS = ("account_email", "eab_kid", "eab_hmac_key")

    def text(self, **config):
        acme = {**ACME, "domains": ["a.example.com"], "api_uri": "https://ca.test/dir"}
        acme.update({f: "{vault://env/hush-%s}" % f.replace("_", "-") for f in self.FIELDS})
        acme["storage_config"] = {
            "redis": {"host": "h", "username": "{vault://env/hush-none}", "password": "{vault://env/hush-none}"},
            "consul": {"host": "h", "token": "{vault://env/hush-none}"},
        }
        acme.update(config)
        return json.dumps({
            "_format_version": "3.0",
            "vaults": [{"name": "env", "prefix": "mine", "config": {"prefix": "HUSH_"}}],
            "plugins": [{"name": "acme", "config": acme}],
            "certificates": [
                {"cert": "{vault://env/hush-pair/cert}", "key": "{vault://mine/pair/key}",
                 "snis": [{"name": "good.test"}]},
                {"cert": "{vault://env/hush-cert}", "key": "{vault://env/hush-wrong}",
                 "snis": [{"name": "bad.test"}]},
            ],
            "keys": [{"kid": "1", "jwk": "{vault://env/hush-jwk}"},
                     {"kid": "2", "pem": {"private_key": "{vault://env/hush-none}"}}],
        }, indent=1)  # fmt: skip

    def environment(self):
        cert, key = self_signed("good.test")
        wrong = self_signed("bad.test")[1]
        return {
            "KONG_PREFIX": os.path.join(self.folder, "prefix"),
            "HUSH_ACCOUNT_EMAIL": "secret1@example.com",
            "HUSH_EAB_KID": "secret2",
            "HUSH_EAB_HMAC_KEY": "secret3",
            "HUSH_PAIR": json.dumps({"cert": cert, "key": key}),
            "HUSH_CERT": cert,
            "HUSH_WRONG": wrong,
            "HUSH_JWK": '{"kid": "1", "kty": "oct", "k": "secret4"}',
        }

    def assert_silent(self, *texts):
        keys = [self_signed(name)[1].splitlines()[1] for name in ("good.test", "bad.test")]
        for text in texts:
            for word in ("secret", "PRIVATE", *keys, *(json.dumps(k)[1:-1] for k in keys)):
                self.assertNotIn(word, text)

    def test_told_and_never_printed(self):
        bad = "{vault://env/hush-wrong}", "{vault://env/hush-none} gives no key"
        for verb in (["check"], ["check", "--format=json"], ["check", "--format=sarif"], ["diff"],
                     ["diff", "--format=json"], ["diff", "--format=markdown"], ["check", "--flatten"],
                     ["explain", "bad.test"], ["explain", "a.example.com"]):  # fmt: skip
            done = self.run_verb(*verb, "-", stdin=self.text(), environment=self.environment())
            self.assertEqual(0, done.returncode, done.stderr)
            self.assert_silent(done.stdout, done.stderr)
            for words in bad:
                self.assertIn(words, done.stdout + done.stderr, verb)
        done = self.run_verb("check", "--strict", "-", stdin=self.text(), environment=self.environment())
        self.assertEqual(1, done.returncode)
        self.assert_silent(done.stdout, done.stderr)

    def test_what_issuing_needs(self):
        """A storage that is not in use needs nothing; the account's fields are needed."""
        def action(environment, **config):
            done = self.run_verb("diff", "--format=json", "-", stdin=self.text(**config),
                                 environment=environment)  # fmt: skip
            self.assertEqual(0, done.returncode, done.stderr)
            [one] = [a for a in json.loads(done.stdout)["actions"] if a["name"] == "a.example.com"]
            return one["action"], one["because"]["reason"], done.stderr

        self.assertEqual(("issue", "missing"), action(self.environment())[:2])
        for field in self.FIELDS:
            environment = self.environment()
            del environment["HUSH_" + field.upper()]
            told = action(environment)
            self.assertEqual(("block", "unresolved_reference"), told[:2], field)
            self.assertIn("{vault://env/hush-" + field.replace("_", "-") + "}", told[2])

    def test_prefix_setting(self):
        text = self.text().replace("vault://env/hush-", "vault://env/")
        environment = self.environment()
        for extra in ({"KONG_VAULT_ENV_PREFIX": "hush_"}, {}):
            switch = [] if extra else ["--set", "vault_env_prefix=HUSH_"]
            done = self.run_verb("check", *switch, "-", stdin=text, environment={**environment, **extra})
            self.assertNotIn("cannot be resolved", done.stdout)
            self.assertNotIn("vault_env_prefix", done.stderr)
        done = self.run_verb("check", "-", stdin=text, environment=environment)
        self.assertIn("{vault://env/account-email} cannot be resolved", done.stdout)

    def test_server(self):
        s = self.server(self.text())
        s.start(environment={**self.environment(), "KONG_PREFIX": s.prefix})
        page = s.status_json()
        [condition] = [c for c in page["conditions"] if c["condition"] == "certificate_unusable"]
        self.assertIn("reference", condition["text"])
        self.assertTrue([p for p in page["problems"] if "{vault://env/hush-wrong}" in p["message"]])
        self.assert_silent(json.dumps(page), s.log_text(), s.verb("status").stdout)
