"""The dry run: against what it is made, within which limits, and that it always says the same."""

import hashlib
import http.server
import json
import os
import random
import re
import threading

import processes
from harness import declared, document, self_signed, service
from test_cli import Cli

NOW = "2026-11-24T00:00:00Z"
LETS_ENCRYPT = {"api_uri": "https://acme-v02.api.letsencrypt.org/directory"}


class Dry(Cli):
    def put(self, text, name="new.yaml"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def plan(self, *arguments, **options):
        done = self.run_verb("diff", "--format=json", f"--now={NOW}", *arguments, **options)
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def actions(self, *arguments, **options):
        """Action (with the reason of a wait or block) by name."""
        def word(action):
            is_held = action["action"] in ("wait", "block")
            return action["action"] + (" " + action["because"]["reason"] if is_held else "")

        return {a["name"]: word(a) for a in self.plan(*arguments, **options)["actions"]}


class AgainstFile(Dry):
    def test_changes(self):
        old = self.put(document(["kept.test", "gone.test"]), "old.yaml")
        new = self.put(document(["kept.test", "fresh.test"]))
        elsewhere = ["--acme-server=https://ca.test/dir"]
        page = self.plan(f"--against={old}", new)
        self.assertEqual(old, page["against"])
        self.assertEqual(
            {"fresh.test": "issue", "gone.test": "retire", "kept.test": "keep"},
            self.actions(*elsewhere, f"--against={old}", new),
        )
        empty = self.put(document([]), "empty.yaml")
        self.assertEqual({}, self.actions("--against", empty, empty))
        done = self.run_verb("diff", "--exit-code", *elsewhere, "--against", old, old)
        self.assertEqual((0, ""), (done.returncode, done.stderr), "no note about the state")
        done = self.run_verb("diff", "--format=markdown", *elsewhere, "--against", old, new)
        self.assertIn("| issue | fresh.test |", done.stdout)
        self.assertIn(", against ", done.stdout)

    def test_what_was_in_the_way(self):
        new = self.put(document(["a.example.com"], LETS_ENCRYPT))
        blocked = self.put(document(["a.example.com"], LETS_ENCRYPT | {"tos_accepted": False}), "b.yaml")
        self.assertEqual({"a.example.com": "issue"}, self.actions("--against", blocked, new))
        self.assertEqual(
            {"a.example.com": "block terms_not_accepted"}, self.actions("--against", new, blocked)
        )
        other = self.put(document(["a.example.com"], {"api_uri": "https://ca.test/dir"}), "other.yaml")
        self.assertEqual({"a.example.com": "issue"}, self.actions("--against", other, new))
        self.assertEqual({"a.example.com": "keep"}, self.actions("--acme-server=https://ca.test/dir", "--against", other, new))
        none = self.put(document(services=[]), "none.yaml")
        self.assertEqual({"a.example.com": "issue"}, self.actions("--against", none, new))
        self.assertEqual({"a.example.com": "retire"}, self.actions("--against", new, none))

    def test_override(self):
        old = self.put(document(["*.w.test"]), "old.yaml")
        new = self.put(document(["*.w.test"], certificates=[declared("d.w.test")]))
        [action] = self.plan("--acme-server=https://ca.test/dir", "--against", old, new)["actions"]
        self.assertEqual(("issue", "d.w.test"), (action["action"], action["overrides"]["sni"]))

    def test_bad(self):
        new = self.put(document(["a.test"]))
        bad = self.put("services: 1\n", "bad.yaml")
        done = self.run_verb("diff", "--against", bad, new)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertTrue(done.stderr.startswith(f"{bad}:1:"), done.stderr)
        missing = os.path.join(self.folder, "missing.yaml")
        done = self.run_verb("diff", "--against", missing, new)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn(missing, done.stderr)
        done = self.run_verb("diff", "--against=-", "-", stdin=document(["a.test"]))
        self.assertEqual(1, done.returncode, "standard input is there once")


READERS = (["diff"], ["explain", "a.test"], ["simulate"])


class Unreadable(Dry):
    """A state that is there and cannot be read is no empty one."""

    WAYS = ("--against http://127.0.0.1:8007 (the running server", "--against none (nothing is looked at)")

    def refused(self, path, *says):
        new = self.put(document(["a.test"], {"api_uri": "https://ca.test/dir"}))
        environment = {"KONG_PREFIX": path}
        for verb in READERS:
            done = self.run_verb(*verb, new, environment=environment)
            self.assertEqual((1, ""), (done.returncode, done.stdout), verb)
            for part in (f"the state under {path} cannot be read", *self.WAYS, *says):
                self.assertIn(part, done.stderr)
            done = self.run_verb(*verb, "--against=none", new, environment=environment)
            self.assertEqual((0, ""), (done.returncode, done.stderr), verb)
        saved = os.path.join(self.folder, "plan.json")
        self.assertEqual(0, self.run_verb("diff", "--out", saved, new).returncode)
        done = self.run_verb("apply", saved, new, environment=environment)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("cannot be read", done.stderr)
        self.assertNotIn("--against", done.stderr, "apply has no such option")

    def test_states(self):
        prefix = os.path.join(self.folder, "there")
        self.refused(self.put("no folder", "there"), "Not a directory")
        os.remove(prefix)
        os.mkdir(prefix)
        self.put("no folder either", "there/storage")
        self.refused(prefix, "Not a directory")
        os.remove(prefix + "/storage")
        os.makedirs(prefix + "/storage/log")
        self.refused(prefix, "not a regular file")
        os.rmdir(prefix + "/storage/log")
        self.put("who wrote this?", "there/storage/log")
        self.refused(prefix, "does not begin as one of ours")

    def test_absent(self):
        new = self.put(document(["a.test"], {"api_uri": "https://ca.test/dir"}))
        empty = os.path.join(self.folder, "empty")
        os.mkdir(empty)
        for path in (os.path.join(self.folder, "never/made"), empty):
            for verb in READERS:
                done = self.run_verb(*verb, new, environment={"KONG_PREFIX": path})
                self.assertEqual(0, done.returncode, done.stderr)
                self.assertIn(f"there is no state under {path} yet", done.stderr)
        self.assertEqual([], os.listdir(empty))

    def test_a_file_called_none(self):
        new = self.put(document(["a.test"], {"api_uri": "https://ca.test/dir"}))
        self.put(document(["a.test"], {"api_uri": "https://ca.test/dir"}), "none")
        for against, action in (("none", "issue"), ("./none", "keep")):
            done = self.run_verb("diff", "--format=json", "--against", against, new, cwd=self.folder)
            page = json.loads(done.stdout)
            self.assertEqual((against, action), (page["against"], page["actions"][0]["action"]))
        done = self.run_verb("explain", "--against=./none", "a.test", new, cwd=self.folder)
        self.assertIn("a.test: valid\n", done.stdout)


class Declared(Dry):
    """What is known of declared certificates and of hosts that get none is told by all."""

    def test_told(self):
        text = document(
            ["*.gate.test"], {"api_uri": "https://ca.test/dir"},
            services=[service("web", ["in.gate.test", "out.test", "x.wild.test", "other.test"], ["sni.test"]),
                      service("plain", ["plain.test"], protocols=["http"])],
            certificates=[declared("*.wild.test"), declared("other.test", pair=self_signed("its.test"))],
        )  # fmt: skip
        new = self.put(text)
        hosts = rf"note: no certificate for these hosts of routes.*: out\.test \({new}:\d+:\d+\), sni\.test \({new}:\d+:\d+\); list"
        mismatch = rf"note: the certificate at {new}:\d+:\d+ does not name its SNI other\.test"
        expired = rf"note: the certificate at {new}:\d+:\d+ expired at "
        for verb in (["check"], ["diff"], ["simulate"]):
            done = self.run_verb(*verb, new)
            self.assertEqual(0, done.returncode)
            self.assertRegex(done.stderr, hosts)
            if verb != ["check"]:  # it has places of its own
                self.assertRegex(done.stderr, mismatch)
                self.assertNotRegex(done.stderr, expired)
        self.assertRegex(self.run_verb("explain", "other.test", new).stderr, mismatch)
        self.assertNotIn("its SNI", self.run_verb("explain", "x.wild.test", new).stderr)
        later = "--now=2100-01-01T00:00:00Z"
        self.assertRegex(self.run_verb("diff", later, new).stderr, expired + "[^\n]*; so does 1 more")
        self.assertIn("although it expired", self.run_verb("explain", later, "x.wild.test", new).stdout)

    def test_served(self):
        text = document(["*.gate.test"], services=[service("web", ["out.test"])],
                        certificates=[declared("d.test", pair=self_signed("its.test"))])  # fmt: skip
        s = self.server(text)
        s.start()
        processes.wait_until("the mismatch is a condition", lambda: s.status_json()["conditions"])
        [condition] = s.status_json()["conditions"]
        self.assertEqual(("certificate_mismatched", "note"), (condition["condition"], condition["level"]))
        s.write(text + "\n")
        processes.wait_until("it is read again", lambda: len(s.events("config_loaded")) == 2)
        told = [e for e in s.events("note") if "out.test" in e["text"]]
        self.assertEqual(1, len(told), "the same hosts are listed once")


class Saved(Dry):
    def test_out(self):
        new = self.put(document(["a.example.com", "b.example.com"], LETS_ENCRYPT))
        saved = os.path.join(self.folder, "plan.json")
        with open(saved, "w", encoding="ascii") as f:
            f.write("old" * 10_000)
        plain = self.run_verb("diff", f"--now={NOW}", new)
        done = self.run_verb("diff", f"--now={NOW}", "--out", saved, new)
        self.assertEqual((0, plain.stdout, plain.stderr), (done.returncode, done.stdout, done.stderr))
        with open(saved, encoding="utf-8") as f:
            page = json.load(f)
        self.assertEqual(NOW, page.pop("made_at"))
        lines = b"issue a.example.com\nissue b.example.com\n"
        self.assertEqual(hashlib.sha256(lines).hexdigest(), page.pop("hash"))
        self.assertEqual(self.plan(new), page)
        self.assertEqual(["new.yaml", "plan.json"], sorted(os.listdir(self.folder)))

    def test_cannot_write(self):
        new = self.put(document(["a.example.com"], LETS_ENCRYPT))
        for path, says in (
            (self.folder + "/none/plan.json", "No such file or directory"),
            (self.folder, "Is a directory"),
            ("/dev/full/plan.json", "Not a directory"),
        ):
            done = self.run_verb("diff", "--out", path, new)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertIn(f"{path}: cannot write the plan: {says}", done.stderr)
        self.assertEqual(["new.yaml"], os.listdir(self.folder))


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put there."""

    status, body, asked = 200, b"", []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("Location", "/certificates")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


class FakeStatus:
    def __init__(self, body, status=200):
        self.asked = []
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler = type("Handler", (Page,), {"status": status, "body": content, "asked": self.asked})
        self.server = http.server.HTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def entry(name, state="valid", reason="not_due", action="renew", at="2027-01-01T00:00:00Z", **other):
    """One of /certificates."""
    return {
        "name": name, "state": state, "issuer": "CA", "not_before": "2026-11-01T00:00:00Z",
        "not_after": "2027-01-29T23:59:59Z", "fingerprint": "00" * 32, "declared_at": ["k.yaml:1:1"],
        "next": {"action": action, "at": at, "because": {"reason": reason, "text": ""}},
        "last_error": None, "ca": "https://ca.test/dir", "key_type": "ecdsa-p256", "failures": 0,
        **other,
    }  # fmt: skip


class AgainstServer(Dry):
    def serve(self, body, status=200):
        return self.keep(FakeStatus(body, status))

    def test_a_running_one(self):
        _, s = self.pair(document(["kept.test", "gone.test"]))
        s.start()
        s.wait_valid(["kept.test", "gone.test"])
        new = self.put(document(["kept.test", "fresh.test"]))
        url = f"http://127.0.0.1:{s.status}"
        for against in (url, url + "/", url + "/certificates"):
            done = s.verb("diff", "--format=json", "--against", against, new)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            page = json.loads(done.stdout)
            self.assertEqual(against, page["against"])
            self.assertEqual(
                [("issue", "fresh.test"), ("retire", "gone.test"), ("keep", "kept.test")],
                [(a["action"], a["name"]) for a in page["actions"]],
            )
        own = {a["name"]: a for a in s.diff(new)["actions"]}
        seen = {a["name"]: a for a in page["actions"]}
        self.assertEqual(own, seen, "the same as against the state under its prefix")

    def test_states(self):
        nothing = {"not_before": None, "not_after": None, "issuer": None, "fingerprint": None}
        failed = {"failures": 2, "last_error": "no"}
        soon = "2026-11-24T00:05:00Z"
        names = [
            entry("valid.test"),
            entry("backoff.test", "failing", "backoff", "issue", soon, **failed, **nothing),
            entry("limited.test", "failing", "rate_limited", "issue", soon, **failed, **nothing),
            entry("refused.test", "failing", "refused_by_ca", "issue", soon, **failed, **nothing),
            entry("open.test", "pending", "order_open", "issue", None, **nothing),
            entry("missing.test", "pending", "missing", "issue", None, **nothing),
            entry("adopt.test", "valid", "found_valid", "adopt", soon),
            entry("revoked.test", "revoked", "revoked"),
            entry("expired.test", not_after="2026-11-23T00:00:00Z"),
            entry("due.test", not_before="2026-08-28T00:00:00Z", not_after="2026-11-26T00:00:00Z"),
            entry("other.test", ca="https://other.test/dir"),
            entry("demand.wild.test", declared_at=[]),
            entry("demand.closed.test", declared_at=[]),
            entry("retired.test", "retired"),
            entry("valid.test", "revoked"),
            entry("x" * 300),
            {"name": 7}, "odd", None,
        ]  # fmt: skip
        random.Random(1).shuffle(names)
        names.sort(key=lambda n: isinstance(n, dict) and n.get("state") == "revoked")  # repeats last
        asked = self.serve({"format": 1, "certificates": names})
        declared_names = ["valid", "backoff", "limited", "refused", "open", "missing", "adopt",
                          "revoked", "expired", "due", "other"]  # fmt: skip
        new = self.put(document([n + ".test" for n in declared_names] + ["*.wild.test"]))
        got = self.actions("--acme-server=https://ca.test/dir", "--against", asked.url, new)
        replaced = ("expired.test", "revoked.test", "other.test")  # which word is plan's own matter
        self.assertEqual(
            {
                "adopt.test": "adopt", "backoff.test": "wait backoff", "demand.closed.test": "retire",
                "demand.wild.test": "keep", "due.test": "renew", "expired.test": "issue",
                "limited.test": "wait rate_limited", "missing.test": "issue",
                "open.test": "wait order_open", "other.test": "issue",
                "refused.test": "block refused_by_ca", "revoked.test": "issue", "valid.test": "keep",
            },
            {name: word.replace("renew", "issue") if name in replaced else word
             for name, word in got.items()},
        )  # fmt: skip
        self.assertEqual(["/certificates"], asked.asked)
        plan = self.plan("--acme-server=https://ca.test/dir", "--against", asked.url, new)
        waits = {a["name"]: a["at"] for a in plan["actions"] if a["action"] == "wait"}
        self.assertEqual((soon, soon), (waits["backoff.test"], waits["limited.test"]))

    def test_odd_answers(self):
        new = self.put(document(["a.test"]))
        for body, status, says in (
            (b"<html>", 200, "is not a list of certificates: not JSON"),
            (b"[" * 100_000, 200, "is not a list of certificates: not JSON"),
            ({"format": 1}, 200, 'is not a list of certificates: no member "certificates"'),
            ({"format": 1, "certificates": 3}, 200, 'no member "certificates"'),
            ({"format": 9, "certificates": []}, 200, "not of format 1"),
            ({"format": 1, "certificates": []}, 404, " answered 404"),
            ({"format": 1, "certificates": []}, 302, " answered 302"),
        ):
            fake = self.serve(body, status)
            done = self.run_verb("diff", "--against", fake.url, new)
            self.assertEqual((1, ""), (done.returncode, done.stdout), says)
            self.assertIn(says, done.stderr)
            self.assertIn(fake.url, done.stderr)
        fake.server.server_close()
        done = self.run_verb("diff", "--against", "http://127.0.0.1:1/x\x1b", new)
        self.assertEqual(1, done.returncode)
        self.assertNotIn("\x1b", done.stderr)


class Budget(Dry):
    def test_waits_for_the_limits(self):
        names = [f"n{i:02}.example.com" for i in range(60)]
        new = self.put(document(names, LETS_ENCRYPT))
        actions = self.plan(new)["actions"]
        held = [a for a in actions if a["action"] == "wait"]
        self.assertEqual(10, len(held))
        self.assertEqual({"budget"}, {a["because"]["reason"] for a in held})
        times = [a["at"] for a in held]
        self.assertEqual(sorted(set(times)), times, "one after the other")
        self.assertGreater(times[0], NOW)
        draws = {d["limit"]: d for d in actions[0]["budget"]}
        self.assertEqual({"orders", "domain", "set", "failures"}, set(draws))
        self.assertEqual(("example.com", 50, 49), tuple(draws["domain"][k] for k in ("of", "max", "left")))
        self.assertEqual(4, self.run_verb("diff", "--exit-code", new).returncode)
        text = self.run_verb("diff", f"--now={NOW}", new).stdout
        self.assertIn("[orders 299/300, domain example.com 49/50, set 4/5, failures 5/5]", text)
        self.assertIn("Wait: 10\n", text)
        told = self.run_verb("explain", f"--now={NOW}", held[0]["name"], new).stdout
        self.assertIn(times[0], told)
        elsewhere = self.plan("--acme-server=https://ca.test/dir", new)
        self.assertEqual((60, [[]] * 60), (elsewhere["summary"]["issue"],
                                           [a["budget"] for a in elsewhere["actions"]]))  # fmt: skip

    def test_renewals_are_free(self):
        names = [f"n{i:02}.example.com" for i in range(60)]
        new = self.put(document(names, LETS_ENCRYPT))
        due = {"not_before": "2026-08-28T00:00:00Z", "not_after": "2026-11-26T00:00:00Z",
               "ca": LETS_ENCRYPT["api_uri"]}  # fmt: skip
        page = {"format": 1, "certificates": [entry(n, **due) for n in names]}
        fake = self.keep(FakeStatus(page))
        self.assertEqual({"renew"}, set(self.actions("--against", fake.url, new).values()))


class Deterministic(Dry):
    TURNS = 1000
    BOUND = 400

    def test_one_hash(self):
        """Neither the seeds of hash tables, nor zone and locale, nor the order of keys are seen."""
        lines = ["  config:", "    domains:"]
        lines += [f"    - n{i}.example.com" for i in range(80)]
        rest = ["    account_email: ops@example.com", "    tos_accepted: true", "    cert_type: ecc",
                "    storage: shm", "    renew_threshold_days: 20"]  # fmt: skip
        zones = ["UTC", "Asia/Tokyo", "America/Lima", "Europe/Berlin"]
        locales = ["C", "de_DE.UTF-8", "tr_TR.UTF-8", "ar_EG"]
        forms = [["--format=text", "-v"], ["--format=json"], ["--format=markdown"],
                 ["--format=json", "--against=old.yaml"]]  # fmt: skip
        self.put(document(["n1.example.com", "m.example.com"]), "old.yaml")
        seen = {}
        for turn in range(self.TURNS):
            dice = random.Random(turn)
            dice.shuffle(rest)
            self.put("\n".join(['_format_version: "3.0"', "plugins:", "- name: acme", *lines, *rest, ""]))
            environment = {"KONG_PREFIX": os.path.join(self.folder, "prefix"),
                           "TZ": dice.choice(zones), "LC_ALL": dice.choice(locales),
                           "LANG": dice.choice(locales)}  # fmt: skip
            form = turn % len(forms)
            done = self.run_verb("diff", f"--now={NOW}", *forms[form], "new.yaml",
                                 environment=environment, cwd=self.folder)  # fmt: skip
            text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", done.stdout)  # the file is another one
            seen.setdefault(form, set()).add(hashlib.sha256(text.encode()).hexdigest())
        self.assertEqual([1] * len(forms), [len(s) for s in seen.values()])
