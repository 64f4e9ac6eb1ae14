"""What check says: warnings, SARIF, and what it keeps to itself."""

import json
import os
import re
import subprocess

import server
from harness import ACME, declared, self_signed
from test_cli import Cli

SARIF_SCHEMA = os.environ.get("SARIF_SCHEMA")
BAD = '_format_version: "3.0"\nservices:\n- name: web\n  host: a.test\n  urll: x\n'


class Secrets(Cli):
    def test_masked(self):
        _, key = self_signed("a.test")
        cert, _ = self_signed("b.test")
        text = json.dumps({
            "_format_version": "3.0",
            "certificates": [{"cert": cert, "key": key}, {"cret": cert, "kye": key}],
            "consumers": [{"username": "u", "x": 1, "keyauth_credentials": [{"key": "hush1", "x": 1}]}],
            "plugins": [
                {"name": "aws-lambda", "x": 1,
                 "config": {"aws_secret": "hush2", "a": [{"TOKEN": ["hush3"], "b": [[{"c": "seen"}]]}]}},
                {"name": "acme", "config": {
                    "account_email": "a@b.example", "eab_hmac_key": "hush4", "x": 1,
                    "storage_config": {"redis": {"password": "hush5"},
                                       "vault": {"token": "{vault://env/seen}"}}}},
                {"name": "cors", "x": 1, "config": json.loads('{"a":' * 50 + "1" + "}" * 50)},
            ],
        })  # fmt: skip
        done = self.run_verb("check", "--format=json", "-", stdin=text)
        self.assertEqual(1, done.returncode)
        self.assertNotIn("PRIVATE", done.stdout)
        self.assertNotIn("hush", done.stdout)
        self.assertIn('{"TOKEN":"***","b":[[{"c":"seen"}]]}', done.stdout)
        self.assertIn("{vault://env/seen}", done.stdout)
        entries = json.loads(done.stdout)["flattened_errors"]
        self.assertEqual(
            [{"cert": cert, "key": "***"}, {"cret": cert, "kye": "***"}],
            [e["entity"] for e in entries if e["entity_type"] == "certificate"],
        )


HEAD = '_format_version: "3.0"\n'
PLUGIN = HEAD + "plugins: [{name: cors, config: {l: ["
# Documents by what they are full of: beginning, unit, end.
CLASSES = {
    "scalars": (PLUGIN, lambda n: "a,", "]}}]\n"),
    "empty maps": (PLUGIN, lambda n: "{},", "]}}]\n"),
    "maps": (PLUGIN, lambda n: "{a},", "]}}]\n"),
    "depth": (PLUGIN, lambda n: "[" * 50 + "]" * 50 + ",", "]}}]\n"),
    "one text": (PLUGIN + '"', lambda n: "x" * 1000, '"]}}]\n'),
    "entities": (HEAD + "key_sets: [", lambda n: "{},", "]\n"),
    "hosts": (HEAD + "routes: [", lambda n: f"{{hosts: [h{n}.example.com]}},", "]\n"),
    "aliases": (HEAD + "routes: [&a {hosts: [a.example.com]},", lambda n: "*a,", "]\n"),
    "services": (
        HEAD + "services:\n",
        lambda n: f"- name: s{n}\n  url: http://b{n}.test\n  routes:\n  - hosts: [h{n}.test]\n",
        "",
    ),
    "json": ('{"_format_version":"3.0","consumers":[', lambda n: f'{{"username":"u{n}"}},', '{"username":"u"}]}'),
}


class Memory(Cli):
    """What reading takes at most (spec.h), whatever the document is full of."""

    SIZE = 4 << 20
    PER_BYTE, BESIDE, PROGRAM = 24, 256 << 20, 32 << 20

    def measure(self, text):
        """Peak resident memory of check, in bytes."""
        path = os.path.join(self.folder, "class.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        pid = os.posix_spawn(
            server.BINARY, [server.BINARY, "check", path], os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)],
        )  # fmt: skip
        _, status, usage = os.wait4(pid, 0)
        self.assertIn(os.waitstatus_to_exitcode(status), (0, 1))
        return usage.ru_maxrss << 10

    def test_classes(self):
        for name, (begin, unit, end) in CLASSES.items():
            units, size = [], 0
            while size < self.SIZE:
                units.append(unit(len(units)))
                size += len(units[-1])
            text = begin + "".join(units) + end
            peak = self.measure(text)
            print(f"{name}: {peak >> 20} MiB for {len(text) >> 20}")
            with self.subTest(name):
                self.assertLess(peak, self.PER_BYTE * len(text) + self.BESIDE + self.PROGRAM)


class Warnings(Cli):
    """What check says of a file that is valid."""

    def check(self, *certificates, options=()):
        text = json.dumps({"_format_version": "3.0", "certificates": list(certificates)}, indent=1)
        done = self.run_verb("check", *options, "-", stdin=text)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.stdout

    def test_dates(self):
        pair = declared("a.test")
        self.assertEqual("", self.check(pair))
        line = "-:5:12: warning: certificates[1].cert: the certificate "
        self.assertRegex(
            self.check(pair, options=["--now=2100-01-01T00:00:00Z"]),
            f"^{re.escape(line)}expired at 20[0-9-]+T[0-9:]+Z\n$",
        )
        self.assertRegex(
            self.check(pair, options=["--now=2000-01-01T00:00:00Z"]),
            f"^{re.escape(line)}is not valid before 20[0-9-]+T[0-9:]+Z\n$",
        )

    def test_chain(self):
        low, key = self_signed("a.test")
        high, _ = self_signed("b.test")
        leaf, leaf_key, root = self.issued("a.test")
        for cert, key_text, says in (
            (low + high, key, "the chain does not lead upward: certificate 2 ('b.test') is not the "
                              "issuer of the certificate"),
            (leaf + root, leaf_key, None),
            (leaf + high + root, leaf_key, "the issuer of certificate 2 of the chain"),
            (leaf + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", leaf_key,
             "certificate 2 of the chain cannot be read: "),
            (low * 12, key, "more than 10 certificates above the first"),
            (low * 11, key, None),
        ):  # fmt: skip
            out = self.check({"cert": cert, "key": key_text, "snis": [{"name": "a.test"}]})
            self.assertIn(says, out) if says else self.assertEqual("", out)

    def test_what_stands_around_a_pem_block(self):
        """As OpenSSL's readers take it, and nothing is passed over without a word."""
        bom = "\N{BYTE ORDER MARK}"
        leaf, key, root = self.issued("a.test")
        parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        stray = "a BEGIN line is passed over that does not stand alone in its line"
        for cert, key_text, says in (
            (bom + leaf + bom + root, bom + key, None),
            ("\r\nsubject=a\r\n" + leaf.replace("\n", " \r\n") + root, "\n\n" + key, None),
            (leaf + key + root, key, "cert: 'PRIVATE KEY' is passed over, which is no certificate"),
            (leaf + root, parameters + key, "key: 'EC PARAMETERS' is passed over, which is no private key"),
            (leaf + " " + root, key, f"cert: {stray}"),
        ):  # fmt: skip
            out = self.check({"cert": cert, "key": key_text, "snis": [{"name": "a.test"}]})
            self.assertEqual(1 if says else 0, len(out.splitlines()), out)
            self.assertIn(f": warning: certificates[1].{says}" if says else "", out)

    def issued(self, name):
        """A leaf, its key and the CA above it, as PEM texts."""
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)

        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        with open(os.path.join(self.folder, "ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName=DNS:{name}\n")
        openssl("req", "-x509", *new, "-subj", "/CN=root", "-keyout", "rk", "-out", "root")
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", "key", "-out", "request")
        openssl("x509", "-req", "-in", "request", "-CA", "root", "-CAkey", "rk", "-CAcreateserial",
                "-extfile", "ext", "-out", "leaf")  # fmt: skip
        texts = []
        for file in ("leaf", "key", "root"):
            with open(os.path.join(self.folder, file), encoding="ascii") as f:
                texts.append(f.read())
        return texts

    def test_ca_certificates(self):
        """What Kong refuses of them."""
        leaf, _, root = self.issued("a.test")
        later = ["--now=2100-01-01T00:00:00Z"]
        for cert, options, says in (
            (root, [], None),
            (root, later, 'certificate expired, "Not After" time is in the past'),
            (leaf, [], 'certificate does not appear to be a CA because it is missing the "CA" basic '
                       "constraint"),
            (root + root, [], "please submit only one certificate at a time"),
        ):  # fmt: skip
            text = json.dumps({"_format_version": "3.0", "ca_certificates": [{"cert": cert}]})
            done = self.run_verb("check", *options, "-", stdin=text)
            expected = f"-:1:48: ca_certificates[1]: {says}\n" if says else ""
            self.assertEqual((int(bool(says)), expected), (done.returncode, done.stdout))
            self.assertEqual(int(bool(says)), self.run_verb("diff", *options, "-", stdin=text).returncode)

    def test_names(self):
        pair = self_signed("a.test", "*.wild.test", "c.test", "d.test")
        for sni, is_covered in (
            ("a.test", True), ("b.test", False), ("x.wild.test", True), ("x.y.wild.test", False),
            ("*.wild.test", True), ("*.test", False), ("a.*", True), ("b.*", False), ("*", True),
        ):  # fmt: skip
            out = self.check(declared(sni, pair=pair))
            says = (
                f"certificates[1].snis[1].name: the certificate in cert is not for '{sni}': "
                "it has a.test, *.wild.test, c.test and 1 more\n"
            )
            self.assertIn(says, out) if not is_covered else self.assertEqual("", out, sni)

    def test_second_pair(self):
        pair = declared("a.test")
        pair["cert_alt"], pair["key_alt"] = self_signed("b.test", key="rsa")
        self.assertIn("snis[1].name: the certificate in cert_alt is not for 'a.test'", self.check(pair))
        out = self.check(pair, options=["--now=2100-01-01T00:00:00Z"])
        self.assertIn("certificates[1].cert_alt: the certificate expired", out)

    def test_what_needs_no_clock(self):
        text = json.dumps({
            "_format_version": "3.0",
            "services": [{"name": "off", "host": "a.test", "enabled": False,
                          "routes": [{"name": "r", "hosts": ["a.test"]}]}],
            "plugins": [{"name": "acme", "config": {
                "account_email": "a@b.example", "tos_accepted": True,
                "domains": ["a.test.", "*.w.test"]}}],
        })  # fmt: skip
        done = self.run_verb("check", "-", stdin=text)
        self.assertEqual(0, done.returncode)
        self.assertIn("services[1].routes[1]: unreachable", done.stdout)
        self.assertIn("config.domains[1]: 'a.test.' can never match", done.stdout)
        done = self.run_verb("check", "--strict", "-", stdin=text)
        self.assertEqual((1, False), (done.returncode, "warning" in done.stdout))


    def test_other_file(self):
        """The place of the first one names its file where it is another."""
        paths = []
        for name in ("a.yaml", "b.yaml"):
            paths.append(os.path.join(self.folder, name))
            with open(paths[-1], "w", encoding="utf-8") as f:
                f.write('_format_version: "3.0"\nroutes:\n- hosts: [a.test]\n')
        done = self.run_verb("check", *paths)
        self.assertEqual(0, done.returncode)
        self.assertEqual(
            f"{paths[1]}:3:3: warning: routes[1]: unreachable: routes[1] ({paths[0]}, line 3) "
            "matches the same requests\n",
            done.stdout,
        )

    def test_dangling(self):
        """An id or key that is not there: a warning, an error if strict, and a block in the plan."""
        absent = "11111111-1111-4111-8111-111111111111"
        service = {"name": "s", "url": "https://h", "ca_certificates": [absent],
                   "routes": [{"hosts": ["a.example.com"]}, {"hosts": ["b.example.org"]}]}  # fmt: skip
        config = {**ACME, "domains": ["*.example.com", "c.example.com"]}
        whole = {"_format_version": "3.0", "services": [service], "plugins": [{"name": "acme", "config": config}]}
        keyed = {**whole, "services": [], "plugins": [
            {"name": "acme", "config": {**config, "account_key": {"key_id": "absent"}}}]}  # fmt: skip
        for document, path, blocked in (
            (whole, "services[1].ca_certificates[1]", ("a.example.com", "no_ca_certificate")),
            (keyed, "plugins[1].config.account_key.key_id", ("c.example.com", "no_account_key")),
        ):
            text = json.dumps(document)
            for options, code, word in ([], 0, "warning: "), (["--strict"], 1, ""):
                done = self.run_verb("check", *options, "-", stdin=text)
                self.assertEqual(code, done.returncode, done.stderr)
                self.assertRegex(done.stdout, rf"(?m)^-:1:\d+: {word}{re.escape(path)}: no ")
            done = self.run_verb("diff", "--format=json", "--exit-code", "-", stdin=text)
            actions = json.loads(done.stdout)["actions"]
            self.assertEqual(4, done.returncode)
            self.assertEqual(
                [blocked],
                [(a["name"], a["because"]["reason"]) for a in actions if a["action"] == "block"],
            )
            done = self.run_verb("explain", blocked[0], "-", stdin=text)
            self.assertIn("-:1:", done.stdout)

    def test_what_is_not_enforced(self):
        text = '_format_version: "3.0"\nplugins:\n- name: cors\n- name: key-auth\n- name: my-own\n'
        told = ["-:3:9: note: plugins[1]: plugin 'cors': not checked, not enforced here\n",
                "-:4:9: note: plugins[2]: plugin 'key-auth': not enforced here\n",
                "-:5:9: note: plugins[3]: plugin 'my-own': not checked, not enforced here\n"]  # fmt: skip
        own = ["--set", "plugins=bundled,my-own"]
        for options in ([], ["--strict"]):
            done = self.run_verb("check", *own, *options, "-", stdin=text)
            self.assertEqual((0, "".join(told)), (done.returncode, done.stdout))
            self.assertEqual("-: no problems, 3 notes\n", done.stderr)
        page = json.loads(self.run_verb("check", *own, "--format=json", "-", stdin=text).stdout)
        self.assertEqual(["note"] * 3, [p["severity"] for p in page["problems"]])
        done = self.run_verb("check", "-", stdin=text)
        self.assertEqual(1, done.returncode)
        self.assertIn("plugin 'my-own' not enabled; add it to the 'plugins' configuration", done.stdout)


class Dialects(Cli):
    """decK's form and what only other Kongs know: each verb, by flag and by setting."""

    TEXT = json.dumps({
        "_info": {"select_tags": ["team"], "defaults": {"service": {"port": 8080}}},
        "_konnect": {},
        "consumer_groups": [{"name": "gold"}],
        "services": [{"name": "web", "host": "h", "tls_sans": {}}],
        "routes": [{"name": "all", "paths": ["/"], "service": {"name": "web"}}],
        "plugins": [
            {"name": "openid-connect", "service": {"name": "web"}},
            {"name": "acme", "condition": "x", "config": {**ACME, "domains": ["a.example.com"]}},
        ],
    })  # fmt: skip
    FLAGS = ("--deck-format", "--ignore-unsupported")
    SETTINGS = ("--set", "acme_deck_format=on", "--set", "acme_ignore_unsupported=on")

    def test_check(self):
        said = [self.run_verb("check", *words, "-", stdin=self.TEXT) for words in (self.FLAGS, self.SETTINGS)]
        self.assertEqual([0, 0], [done.returncode for done in said], said[0].stdout)
        self.assertEqual(said[0].stdout, said[1].stdout)
        self.assertEqual(4, said[0].stdout.count("left out: known to Kong Enterprise"), said[0].stdout)
        done = self.run_verb("check", "--ignore-unsupported", "-", stdin=self.TEXT)
        self.assertIn("Kong wants it, decK does not", done.stdout)
        self.assertIn("write the name alone, or read it with --deck-format", done.stdout)
        done = self.run_verb("check", *self.FLAGS, "-", stdin=self.TEXT.replace("tls_sans", "nope"))
        self.assertEqual(1, done.returncode, "what nobody knows stays an error")

    def test_flattened(self):
        done = self.run_verb("check", "--flatten", *self.FLAGS, "-", stdin=self.TEXT)
        flat = json.loads(done.stdout)
        (service,), (route,) = flat["services"], flat["routes"]
        self.assertEqual((8080, ["team"], False), (service["port"], service["tags"], "tls_sans" in service))
        self.assertEqual(service["id"], route["service"]["id"])
        self.assertEqual(["acme"], [p["name"] for p in flat["plugins"]])

    def test_verbs(self):
        path, plan = os.path.join(self.folder, "kong.yaml"), os.path.join(self.folder, "plan")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.TEXT)
        environment = {"KONG_PREFIX": self.folder + "/prefix"}
        for verb in (["diff", f"--out={plan}"], ["explain", "a.example.com"], ["simulate"]):
            done = self.run_verb(*verb, *self.FLAGS, path, environment=environment)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            done = self.run_verb(*verb, path, environment=environment)
            self.assertEqual(1, done.returncode, done.stdout)
        done = self.run_verb("apply", plan, *self.FLAGS, "--acme-server=https://127.0.0.1:1/dir", path,
                             environment=environment)  # fmt: skip
        self.assertNotIn("unknown field", done.stdout + done.stderr)

    def test_server(self):
        s = self.server(self.TEXT, settings={"acme_server": "https://127.0.0.1:1/dir"})
        s.start(self.FLAGS)
        self.assertIn(s.state("a.example.com"), ("pending", "failing"))


class Sarif(Cli):
    """SARIF 2.1.0: members that the standard requires, and nothing that it does not know.

    With SARIF_SCHEMA=FILE in the environment, the standard's own JSON Schema, by that too.
    """

    MEMBERS = {  # of each object: required, allowed besides (sections 3.13 to 3.54)
        "log": ({"version", "runs"}, {"$schema"}),
        "run": ({"tool"}, {"results", "invocations"}),
        "driver": ({"name"}, {"version", "rules"}),
        "rule": ({"id"}, {"shortDescription", "defaultConfiguration"}),
        "invocation": ({"executionSuccessful"}, {"toolExecutionNotifications"}),
        "notification": ({"message"}, {"level"}),
        "result": ({"message"}, {"ruleId", "ruleIndex", "level", "locations"}),
        "location": (set(), {"physicalLocation", "logicalLocations"}),
        "physical": ({"artifactLocation"}, {"region"}),
        "region": ({"startLine"}, {"startColumn"}),
    }

    def has(self, kind, thing):
        required, allowed = self.MEMBERS[kind]
        self.assertLessEqual(required, set(thing), kind)
        self.assertLessEqual(set(thing), required | allowed, kind)
        return thing

    def read(self, done):
        log = self.has("log", json.loads(done.stdout))
        if SARIF_SCHEMA:
            import jsonschema  # not needed otherwise

            with open(SARIF_SCHEMA, encoding="utf-8") as f:
                jsonschema.validate(log, json.load(f))
        self.assertEqual("2.1.0", log["version"])
        self.assertEqual(1, len(log["runs"]))
        run = self.has("run", log["runs"][0])
        self.assertEqual({"driver"}, set(run["tool"]))
        rules = self.has("driver", run["tool"]["driver"])["rules"]
        for rule in rules:
            self.has("rule", rule)
            self.assertIn(rule["defaultConfiguration"]["level"], ("error", "warning", "note"))
        for result in run["results"]:
            self.has("result", result)
            self.assertEqual(rules[result["ruleIndex"]]["id"], result["ruleId"])
            self.assertEqual({"text"}, set(result["message"]))
            self.assertTrue(result["message"]["text"])
            for location in result["locations"]:
                physical = self.has("physical", self.has("location", location)["physicalLocation"])
                self.assertRegex(physical["artifactLocation"]["uri"], r"^[-A-Za-z0-9._~/%:]+$")
                for number in self.has("region", physical.get("region", {"startLine": 1})).values():
                    self.assertGreaterEqual(number, 1)
        for invocation in run["invocations"]:
            self.assertTrue(self.has("invocation", invocation)["executionSuccessful"])
            for notification in invocation.get("toolExecutionNotifications", ()):
                self.has("notification", notification)
        return run

    def test_results(self):
        path = os.path.join(self.folder, "odd näme #1.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(BAD)
        done = self.run_verb("check", "--format=sarif", path)
        self.assertEqual((1, ""), (done.returncode, done.stderr))
        results = self.read(done)["results"]
        self.assertEqual(["services[1].urll: unknown field, did you mean url?"], [r["message"]["text"] for r in results])
        where = results[0]["locations"][0]
        uri = f"file://{self.folder}/odd%20n%C3%A4me%20%231.yaml"
        self.assertEqual(
            {"artifactLocation": {"uri": uri}, "region": {"startLine": 5, "startColumn": 3}},
            where["physicalLocation"],
        )
        self.assertEqual([{"fullyQualifiedName": "services[1].urll"}], where["logicalLocations"])
        self.assertEqual(("invalid", "error"), (results[0]["ruleId"], results[0]["level"]))

    def test_levels(self):
        text = json.dumps({"_format_version": "3.0", "certificates": [declared("a.test")]})
        later = ["check", "--format=sarif", "--now=2100-01-01T00:00:00Z", "-"]
        [result] = self.read(self.run_verb(*later, stdin=text))["results"]
        self.assertEqual(("doubtful", "warning"), (result["ruleId"], result["level"]))
        [result] = self.read(self.run_verb(*later, "--strict", stdin=text))["results"]
        self.assertEqual(("invalid", "error"), (result["ruleId"], result["level"]))
        self.assertEqual([], self.read(self.run_verb(*later[:2], "-", stdin=text))["results"])
        text = '_format_version: "3.0"\nplugins:\n- name: cors\n'
        done = self.run_verb("check", "--strict", *later[1:2], "-", stdin=text)
        [result] = self.read(done)["results"]
        self.assertEqual((0, "unenforced", "note"), (done.returncode, result["ruleId"], result["level"]))

    def test_extremes(self):
        text = '_format_version: "3.0"\n' + "".join(f"x{i}: 1\n" for i in range(1003))
        run = self.read(self.run_verb("check", "--format=sarif", "-", stdin=text))
        self.assertEqual(1000, len(run["results"]))
        [notification] = run["invocations"][0]["toolExecutionNotifications"]
        self.assertEqual("and 3 more", notification["message"]["text"])
        [result] = self.read(self.run_verb("check", "--format=sarif", "/nonexistent.yaml"))["results"]
        self.assertIn("No such file", result["message"]["text"])
        self.assertNotIn("region", result["locations"][0]["physicalLocation"])
