"""The daemon under a clock of ours, against a scripted CA, sends the orders that simulate foretells."""

import datetime
import json
import os
import re
import struct
import threading
import time

import processes
from fake_ca import Reply
from harness import Case, document
from scripted_ca import ScriptedCa

DAY = 86400
BEGIN = 1_900_000_000
BEGIN_TEXT = "2030-03-17T17:46:40Z"
ORDERED = re.compile(r"^(\S+Z) notice certificate_(ordering|renewing) .*?\bname=(\S+)", re.M)


class Clock:
    """Seconds, in a file that control maps (faults.c)."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "clock")
        self.now = BEGIN
        self.set(BEGIN)

    def set(self, now):
        self.now = now
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack("q", now), 0)
        os.close(fd)


def seconds_of(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class Foretold(Case):
    def begin(self, names, lifetime, away=(0, 0), limits=None):
        self.clock = Clock(self.folder)
        self.ca = self.keep(ScriptedCa(
            os.path.join(self.folder, "ca"), lambda: self.clock.now, lifetime,
            lambda: away[0] <= self.clock.now - BEGIN < away[1],
        ))  # fmt: skip
        settings = {"acme_poll_interval": "1"}
        if limits:
            settings["acme_limits"] = f"{self.ca.url} {limits}"
        self.text = document(names)
        self.s = self.server(self.text, self.ca, settings)

    def foretell(self, days, *options):
        done = self.s.verb("simulate", "-v", "--format=json", f"--now={BEGIN_TEXT}", f"--days={days}", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        return [(seconds_of(o["at"]), o["name"]) for o in json.loads(done.stdout)["sequence"]]

    def is_settled(self):
        """Nothing is under way: every name waits for a time to come. Then the earliest of them."""
        times = [c["next"]["at"] for c in self.s.certificates().values()]
        return all(t and seconds_of(t) > self.clock.now for t in times) and min(map(seconds_of, times))

    def let_time_pass(self, days):
        self.s.start(environment={**self.s.clocked(), "FAULT_NOW": self.clock.path})
        while True:
            at = processes.wait_until("all is settled", self.is_settled, 30, 0.05)
            if at >= BEGIN + days * DAY:
                break
            self.clock.set(at)
            self.s.write(self.text)  # a look, sooner than the poll
        return [(seconds_of(at), name) for at, _, name in ORDERED.findall(self.s.log_text())]

    def check(self, days, *options):
        foretold = self.foretell(days, *options)
        sent = self.let_time_pass(days)
        self.assertEqual(foretold, sent)
        # one that fails is sent a few times within its order
        self.assertEqual(sorted(foretold), sorted(set(self.ca.sent_orders)))
        return foretold

    def test_renewals(self):
        self.begin(["c.test", "a.test", "b.test"], 45 * DAY)
        self.assertEqual(9, len(self.check(75, "--lifetime=45d")))

    def test_outage(self):
        names = ["n0.test", "n1.test"]  # a failing newOrder is repeated, with pauses
        # from before the first of them is due: each one's renewal is moved forward a little
        self.begin(names, 10 * DAY, away=(4 * DAY, 7 * DAY))
        foretold = self.check(12, "--lifetime=10d", "--ca-outage=3d@4")
        self.assertGreater(len(foretold), 2 * 5, "each fails more than once")

    def test_needless(self):
        """Due as soon as they are issued: the ladder of failures holds them back."""
        self.begin(["a.test"], 1)
        foretold = self.check(4, "--lifetime=1s")
        waits = [b[0] - a[0] for a, b in zip(foretold, foretold[1:])]
        for least, wait in zip((60, 540, 5400, 77760, 77760), waits):
            self.assertTrue(least <= wait <= least * 11 / 9 + 6, waits)
        self.assertGreaterEqual(len(waits), 5)

    def test_spread(self):
        """Names that were issued in one second are not renewed in one; none is renewed late."""
        self.begin([f"n{i}.test" for i in range(50)], 90 * DAY)
        renewals = self.foretell(70, "--lifetime=90d")[50:]
        self.assertEqual(50, len({name for _, name in renewals}))
        times = [at - BEGIN for at, _ in renewals]
        self.assertGreaterEqual(len(set(times)), 49)
        self.assertTrue(58 * DAY < min(times) < 59 * DAY < max(times) <= 60 * DAY, times)

    def test_limits(self):
        names = [f"n{i}.example.com" for i in range(6)]
        self.begin(names, 90 * DAY, limits="orders=2/1d")
        foretold = self.check(4)
        self.assertEqual([0, 0, 43200, 86400, 129600, 172800], [at - BEGIN for at, _ in foretold])


class Refused(Case):
    """What the CA refuses for good is tried again daily, or under another file, and everybody says so."""

    def before(self, request):
        if request.kind == "new-order":
            return Reply.problem(403, "caa", "forbidden")
        return None

    def put(self, domains):
        path = os.path.join(self.folder, "next.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(document(domains))
        return path

    def told(self, s, *arguments):
        """Of no.test by diff: what, and when."""
        [a] = [a for a in s.diff(*arguments)["actions"] if a["name"] == "no.test"]
        return a["action"], a["at"]

    def simulated(self, s, *arguments):
        done = s.verb("simulate", "-v", "--format=json", "--days=3", *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        page = json.loads(done.stdout)
        return page["start"], page["sequence"][0]["at"]

    def check_blocked(self, s, tries):
        """All tell the same date, which is not now."""
        s.wait_state("no.test", "blocked")
        failed = s.events("certificate_failed")
        self.assertEqual(tries, len(failed))
        at = s.certificates()["no.test"]["next"]["at"]
        self.assertEqual((at, "1"), (failed[-1]["next_attempt"], failed[-1]["failures"]))
        self.assertEqual(("block", at), self.told(s))
        self.assertIn(f"nothing before {at}", s.verb("explain", "no.test").stdout)
        self.assertEqual(at, self.simulated(s)[1])

    def check_forgiven(self, s, path):
        """The same of a file that is not in its place yet."""
        for against in ((), ("--against", f"http://127.0.0.1:{s.status}")):
            self.assertEqual("issue", self.told(s, *against, path)[0], against)
            self.assertEqual(*self.simulated(s, *against, path))
            self.assertIn("issue now", s.verb("explain", *against, "no.test", path).stdout)

    def test_another_file(self):
        ca, s = self.pair(document(["no.test"]), before=self.before)
        s.start()
        self.check_blocked(s, 1)
        path = self.put(["no.test", "*.more.test"])
        self.check_forgiven(s, path)
        with open(path, encoding="utf-8") as f:
            s.write(f.read())
        processes.wait_until("it is tried again", lambda: len(s.events("certificate_failed")) == 2)
        self.check_blocked(s, 2)
        s.stop()
        s.write(document(["no.test"]))
        s.start()  # nobody saw the change
        processes.wait_until("it is tried again", lambda: len(s.events("certificate_failed")) == 3)
        self.check_blocked(s, 3)
        s.stop()
        s.start()
        self.assertEqual("blocked", s.state("no.test"))
        self.assertEqual(3, ca.orders("no.test"))

    def test_another_ca(self):
        """An order of the CA before fails: the next attempt is at once, at the other one."""
        ports = processes.free_port(), processes.free_port()
        new = self.pebble(ports[0])
        asked, moved = threading.Event(), threading.Event()

        def before(request):
            if request.kind == "new-order":
                asked.set()
                moved.wait(20)
                return Reply.problem(403, "caa", "forbidden")
            return None

        old = self.fake_ca(new, before)
        settings = {"acme_trusted_certificate": new.certificate}
        s = self.server(document(["no.test"], {"api_uri": old.url}), settings=settings, ports=ports)
        s.start()
        self.assertTrue(asked.wait(20))
        s.write(document(["no.test"], {"api_uri": new.url}))
        processes.wait_until("the file is in force", lambda: len(s.events("config_loaded")) == 2)
        moved.set()
        s.wait_valid(["no.test"])
        [failed] = s.events("certificate_failed")
        self.assertLessEqual(failed["next_attempt"], ORDERED.findall(s.log_text())[-1][0])


class Unasked(Case):
    """What we refuse by ourselves is foretold, is no failed try, and is over with the mistake."""

    def faults(self, ca):
        key = {"name": "k", "kid": "k", "jwk": '{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}'}
        return [
            ({"account_email": "mailto:a@b.test"}, "config.account_email", {}),
            ({"account_email": "a@b.test\n"}, "config.account_email", {}),
            ({"api_uri": ca.url.replace("https:", "http:")}, "config.api_uri", {}),
            ({"api_uri": ca.url + "/a b"}, "config.api_uri", {}),
            ({"account_key": {"key_id": "k"}}, "config.account_key", {"keys": [key]}),
            ({"eab_kid": "k", "eab_hmac_key": "not base64url!"}, "config.eab_hmac_key", {}),
        ]

    def test_refused(self):
        ports = processes.free_port(), processes.free_port()
        pebble = self.pebble(ports[0])
        ca = self.fake_ca(pebble)
        sound = document(["a.test"], {"api_uri": ca.url})
        s = self.server(sound, settings={"acme_trusted_certificate": pebble.certificate}, ports=ports)
        for fault, field, lists in self.faults(ca):
            s.write(document(["a.test"], {"api_uri": ca.url} | fault, **lists))
            done = s.verb("check", s.file)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertRegex(done.stdout, rf"kong.yaml:\d+:\d+: warning: plugins\[1\].{field}: ")
            self.assertEqual(1, s.verb("check", "--strict", s.file).returncode)
            [action] = s.diff()["actions"]
            self.assertEqual("block", action["action"], field)
        s.start()
        self.assertEqual("blocked", s.state("a.test"))
        self.assertEqual([0, None], [s.certificates()["a.test"][k] for k in ("failures", "last_error")])
        s.write(sound)
        s.wait_valid(["a.test"])
        self.assertEqual([], s.events("certificate_failed"))
        self.assertEqual(1, ca.orders("a.test"))

    def test_at_start(self):
        """The place, the way out, in the log's form."""
        text = document(["a.test"], {"storage": "redis", "storage_config": {"redis": {"host": "r.test"}}})
        for form in ("auto", "text", "json"):
            s = self.server(text, settings={"acme_log_format": form}, name=form)
            s.spawn()
            self.assertEqual(1, s.process.wait(20))
            says = 'storage "redis" is not in this build yet: set it to shm'
            if form == "auto":
                self.assertRegex(s.log_text(), rf"(?m)^reconcert: \S+/kong.yaml:\d+:\d+: config.storage: {says}$")
                continue
            if form == "text":
                [failed] = s.events("start_failed")
            else:
                [failed] = [e for e in map(json.loads, s.log_text().splitlines()) if e["event"] == "start_failed"]
            self.assertEqual((says, s.file, "config.storage"), (failed["error"], failed["file"], failed["path"]))
            self.assertGreater(int(failed["line"]), 1)


class Limited(Case):
    def test_told(self):
        """What does not fit waits, and everybody says until when and why."""
        ca, s = self.pair(document(["a.example.com", "b.example.com"]))
        s.write_settings(acme_limits=f"https://other.test/ orders=1/1s, {ca.url} orders=9/1h domain=1/7d")
        plan = {a["name"]: a for a in s.diff()["actions"]}
        self.assertEqual("issue", plan["a.example.com"]["action"])
        self.assertEqual("wait", plan["b.example.com"]["action"])
        self.assertEqual(["orders", "domain"], [d["limit"] for d in plan["b.example.com"]["budget"]])
        s.start()
        s.wait_valid(["a.example.com"])
        held = s.certificates()["b.example.com"]
        self.assertEqual(("pending", "issue", "budget"),
                         (held["state"], held["next"]["action"], held["next"]["because"]["reason"]))  # fmt: skip
        self.assertEqual(1, ca.handled()["new-order"])
        told = s.verb("status").stdout
        self.assertIn("it does not fit the CA's limits before " + held["next"]["at"], told)
        self.assertIn("it does not fit the CA's limits before", s.verb("explain", "b.example.com").stdout)
        s.write_settings(acme_limits=f"{ca.url}")  # none
        s.stop()
        s.start()
        s.wait_valid(["b.example.com"])

    def test_renewals_count_as_such(self):
        """After a restart too: they draw on the limits of renewals alone; what they renew counts."""
        ca, s = self.pair(document(["a.example.com"]), {"acme_poll_interval": "1"}, validity=600)
        s.start(environment=s.clocked())
        first = s.wait_state("a.example.com", "valid")["fingerprint"]
        s.set_clock(320)
        processes.wait_until(
            "it is renewed", lambda: s.certificates()["a.example.com"]["fingerprint"] != first, 60, 0.2
        )
        s.stop()
        s.write(document(["a.example.com", "b.example.com"]))
        for count, action in ((2, "issue"), (1, "wait")):
            s.write_settings(acme_limits=f"{ca.url} domain={count}/7d renewals=exempt")
            then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 400))
            self.assertEqual(action, {a["name"]: a for a in s.diff(f"--now={then}")["actions"]}["b.example.com"]["action"])

    def test_settings(self):
        _, s = self.pair(document(["a.test"]))
        for value, says in (
            ("http://ca.test/ orders=1/1h", "does not begin with a directory's https:// URL"),
            ("orders=1/1h", "does not begin with a directory's https:// URL"),
            ("https://ca.test/ orders=1", "is no limit such as orders=300/3h"),
        ):
            done = s.verb("diff", "--set", f"acme_limits={value}")
            self.assertEqual((64, ""), (done.returncode, done.stdout))
            self.assertIn("acme_limits: ", done.stderr)
            self.assertIn(says, done.stderr)
