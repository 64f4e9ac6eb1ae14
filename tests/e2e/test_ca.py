"""CAs that are difficult but right: rejected nonces, reused authorizations, slow validation."""

import collections
import time

import processes
import server
from fake_ca import Drop, Reply
from harness import Case, document
from processes import wait_until

NAMES = [f"n{i:02}.test" for i in range(12)]


class Nonces(Case):
    def check(self, percent):
        ca, s = self.pair(document(NAMES), nonce_reject=percent)
        s.start()
        s.wait_valid(NAMES, bound=90)
        entries = s.certificates().values()
        self.assertEqual(len(NAMES), len({c["fingerprint"] for c in entries}))
        self.assertEqual({0}, {c["failures"] for c in entries}, "a bad nonce is no failure")

    def test_nonce_rejection_0(self):
        self.check(0)

    def test_nonce_rejection_5(self):
        self.check(5)

    def test_nonce_rejection_20(self):
        self.check(20)

    def test_nonce_rejection_50(self):
        self.check(50)


class Authorizations(Case):
    def renew(self, **options):
        """Certificates of 600 s are due at half, which our clock reaches at once."""
        ca, s = self.pair(document(["short.test"]), {"acme_poll_interval": "1"}, validity=600, **options)
        s.start(environment=s.clocked())
        s.wait_valid(["short.test"])
        first = s.fingerprint("short.test")
        s.set_clock(320)
        s.wait_fingerprint("short.test", lambda seen: seen != first, bound=30)
        self.assertEqual(2, ca.handled()["new-order"])
        return ca.handled()["challenge"]

    def test_reuse_0_and_renewal(self):
        """Every order brings its challenge."""
        self.assertEqual(2, self.renew())

    def test_reuse_100(self):
        """The second order's authorization is valid from the start: no challenge is asked for."""
        self.assertEqual(1, self.renew(authz_reuse=100))

    def test_slow_validation(self):
        ca, s = self.pair(document(NAMES[:3]), is_slow=True)
        s.start()
        s.wait_valid(NAMES[:3], bound=60)


class Trouble(Case):
    """A CA that answers badly, or not at all, is tried again later; the rest goes on."""

    def check_failure(self, before=None, after=None, words=()):
        ca, s = self.pair(document(["a.test"]), before=before, after=after)
        s.start()
        entry = s.wait_state("a.test", "failing", bound=60)
        for word in words:
            self.assertIn(word, str(entry["last_error"]))
        self.assertEqual("issue", entry["next"]["action"])
        self.assertIn(entry["next"]["because"]["reason"], ("backoff", "rate_limited"))
        self.assertGreaterEqual(entry["failures"], 1)
        s.fingerprint()  # it serves on
        return ca, s, entry

    def test_ca_error(self):
        def before(request):
            if request.kind == "new-order":
                return Reply.problem(500, "serverInternal", "the database is on fire")
            return None

        ca, _, _ = self.check_failure(before, words=["the database is on fire"])
        self.assertLessEqual(ca.orders(), 2)

    def test_rate_limit_is_kept(self):
        def before(request):
            if request.kind == "new-order":
                return Reply.problem(429, "rateLimited", "too many", Retry_After="7200")
            return None

        ca, s, entry = self.check_failure(before, words=["too many"])
        at = time.mktime(time.strptime(entry["next"]["at"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        self.assertGreater(at - time.time(), 7000)
        self.assertEqual(1, ca.orders())
        code = s.verb("diff", "--exit-code").returncode
        self.assertEqual(4, code)

    def test_trouble_is_told_while_it_lasts(self):
        """A challenge with an error that is still pending: said, answered again, and over."""
        def after(request, reply):
            if request.kind == "authorization" and len(ca.of_kind("challenge")) < 2:
                value = reply.json
                value["status"] = "pending"
                for challenge in value["challenges"]:
                    challenge["status"] = "pending"
                    if ca.of_kind("challenge"):
                        challenge["error"] = Reply.problem(400, "connection", "nobody there").json
                reply.set_json(value)
            if request.kind == "order" and len(ca.of_kind("challenge")) < 2:
                reply.set_json({**reply.json, "status": "pending"})
            return reply

        ca, s = self.pair(document(["a.test"]), after=after)
        s.start()
        words = "could not connect to the name: nobody there (connection)"
        wait_until("it is told", lambda: words in str(s.certificates()["a.test"]["last_error"]), 30)
        self.assertEqual("pending", s.state("a.test"))
        told = " ".join(s.verb("status").stdout.split())
        self.assertIn("the CA has not given up, and reports: the CA " + words, told)
        self.assertIn("validation_troubled", s.log_text())
        s.wait_valid(["a.test"], bound=60)
        self.assertGreaterEqual(len(ca.of_kind("challenge")), 2)
        self.assertEqual(1, ca.orders())
        self.assertNotIn("nobody there", s.verb("status").stdout)

    def test_words_are_escaped_once(self):
        def before(request):
            if request.kind == "new-order":
                return Reply.problem(400, "malformed", 'a\x1b[31m\\b "c"')
            return None

        _, s, entry = self.check_failure(before, words=['a\x1b[31m\\b "c" (malformed)'])
        for verb in (["status"], ["explain", entry["name"]], ["diff"]):
            self.assertIn('a\\x1b[31m\\\\b "c" (malformed)', " ".join(s.verb(*verb).stdout.split()))
        self.assertIn('a\\x1b[31m\\\\b \\"c\\" (malformed)', s.log_text())

    def test_headers_too_long(self):
        """What was too long is told, and how long it may be."""
        for name, size, words in (
            ("Location", 3000, "Location has 3000 bytes, more than 2048"),
            ("Retry-After", 70 << 10, "more than 65536 bytes of headers"),
            ("Replay-Nonce", 1 << 20, "a header of more than 102400 bytes"),
        ):
            def after(request, reply, name=name, size=size):
                if request.kind == "new-order":
                    reply.headers[name] = "x" * size
                return reply

            _, s, _ = self.check_failure(after=after, words=[words])
            self.assertIn("kind=protocol", s.log_text())
            s.stop()

    def test_garbage_for_a_chain(self):
        def after(request, reply):
            if request.kind == "certificate":
                reply.body = b"\0<html>" * 50
            return reply

        self.check_failure(after=after)

    def test_garbage_for_an_order(self):
        """Its Location is enough: the order is asked for there."""

        def after(request, reply):
            if request.kind == "new-order":
                reply.body = b"\0<html>" * 50
            return reply

        ca, s = self.pair(document(["a.test"]), after=after)
        s.start()
        s.wait_state("a.test", "valid", "failing")
        self.assertEqual(1, ca.orders())

    def test_authorization_that_is_listed_twice(self):
        def after(request, reply):
            if request.kind == "new-order":
                order = reply.json
                reply.set_json({**order, "authorizations": order["authorizations"] * 3})
            return reply

        ca, s = self.pair(document(["a.test"]), after=after)
        s.start()
        s.wait_state("a.test", "valid")
        self.assertEqual(1, len(ca.of_kind("challenge")))

    def test_directory_that_lies(self):
        def after(request, reply):
            if request.kind == "directory":
                reply.set_json({"newNonce": "http://127.0.0.1:1/", "newOrder": 7})
            return reply

        ca, s = self.pair(document(["a.test"]), after=after)
        s.start()
        wait_until("the directory is asked for", lambda: ca.of_kind("directory"))
        wait_until("it is said", lambda: s.status_json()["conditions"] or s.state("a.test") == "failing")
        self.assertEqual(0, ca.orders())

    def test_chain_for_another_key(self):
        """What the CA hands out is looked at before it is believed."""
        kept = []

        def after(request, reply):
            if request.kind == "certificate":
                kept.append(reply.body)
                reply.body = kept[0]
            return reply

        ca, s = self.pair(document(["a.test", "b.test"]), after=after)
        s.start()

        def settled():
            entries = s.certificates()
            return {"valid", "failing"} == {e["state"] for e in entries.values()} and entries

        entries = wait_until("both are settled", settled)
        good, bad = sorted(entries.values(), key=lambda e: e["state"], reverse=True)
        s.shake_hands(good["name"], context=server.client_context(ca.behind.root()))
        self.assertIn("another key", bad["last_error"])
        self.assertEqual(s.fingerprint(), s.fingerprint(bad["name"]), "it is not served")

    def test_failed_validation(self):
        ca, s = self.pair(document(["a.test", "lost.test"]))
        ca.point("lost.test", "127.9.9.9")
        s.start()
        s.wait_valid(["a.test"])
        entry = s.wait_state("lost.test", "failing")
        self.assertIn("127.9.9.9", str(entry["last_error"]))

    def test_hanging_ca_is_timed_out(self):
        """It stops answering in mid-order; others are not held up, and it is tried again."""
        ca = None

        def before(request):
            if request.kind == "authorization" and request.count == 1:
                ca.hang()

        ca, s = self.pair(document(["a.test"]), before=before)
        s.start()
        s.wait_state("a.test", "failing", "valid", bound=100)
        self.assertEqual(200, s.ask_status("/status").status)
        self.assertEqual(1, ca.orders(), "the same order goes on")

    BOUND = 200

    def test_cut_connections_do_not_lose_the_order(self):
        def before(request):
            if request.kind in ("order", "finalize", "certificate") and request.count == 1:
                raise Drop

        ca, s = self.pair(document(["a.test"]), before=before)
        s.start()
        s.wait_state("a.test", "valid", bound=90)
        self.assertEqual(1, ca.orders())

    def test_busy_ca_is_waited_for(self):
        """A 503 that asks for some seconds costs these, and no attempt."""
        at = []

        def before(request):
            if request.kind in ("authorization", "finalize"):
                at.append(request.at)
                if request.count == 1:
                    return Reply.problem(503, "serverInternal", "a moment", Retry_After="2")
            return None

        ca, s = self.pair(document(["a.test"]), before=before)
        s.start()
        self.assertEqual(0, s.wait_state("a.test", "valid")["failures"])
        self.assertEqual(1, ca.orders())
        self.assertGreaterEqual(at[1] - at[0], 2.0)
        self.assertGreaterEqual(at[3] - at[2], 2.0)

    def test_unreachable_ca(self):
        ca, s = self.pair(document(["a.test"]))
        ca.stop()
        s.start()
        wait_until("it is said", lambda: s.status_json()["conditions"] or s.state("a.test") == "failing", 60)
        s.fingerprint()

    def test_trusted_beside_the_system(self):
        ports = processes.free_port(), processes.free_port()
        ca = self.pebble(ports[0])
        trusted = {"lua_ssl_trusted_certificate": f"system, {ca.certificate}"}
        s = self.server(document(["a.test"]), ca, trusted, ports=ports, trusted="")
        s.start()
        s.wait_valid(["a.test"])

    def test_account_that_the_ca_forgot(self):
        """A restarted Pebble knows nobody: a new account is made, and issuing goes on."""
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        ca.restart()
        s.write(document(["a.test", "b.test"]))
        s.wait_valid(["b.test"], bound=60)

    def test_retry_after_is_waited_for(self):
        """An authorization that is pending with Retry-After is not polled before that."""
        polls = []

        def after(request, reply):
            if request.kind == "authorization":
                polls.append(request.at)
                if len(polls) == 2:  # the first poll behind the challenge
                    content = reply.json
                    content["status"] = "pending"
                    reply.set_json(content)
                    reply.headers["Retry-After"] = "3"
            return reply

        ca, s = self.pair(document(["a.test"]), after=after)
        s.start()
        s.wait_valid(["a.test"], bound=40)
        if len(polls) > 2:
            self.assertGreater(polls[2] - polls[1], 2.5)


class AccountLimit(Case):
    """A rate limit of the account is met once, by whoever is first; the others wait for it."""

    NAMES = [f"n{i:03}.test" for i in range(200)]

    def reasons(self, s):
        found = s.certificates().values()
        return dict(collections.Counter(c["next"]["because"]["reason"] for c in found))

    def limited(self, request):
        if request.kind == "new-order" and not self.is_over:
            words = "too many new orders (300) from this account in the last 3h0m0s"
            return Reply.problem(429, "rateLimited", words, Retry_After="3600")
        return None

    def test_met_once(self):
        self.is_over = False
        waiting = {"account_limited": 199, "rate_limited": 1}
        ca, s = self.pair(document(self.NAMES), {"acme_poll_interval": "1"}, before=self.limited)
        s.start()
        wait_until("all wait", lambda: self.reasons(s) == waiting)
        conditions = s.ask_status("/certificates").json["conditions"]
        self.assertIn("account_limited", [c["condition"] for c in conditions])
        asked = ca.orders()
        self.assertLessEqual(asked, 64, "what was under way")
        self.assertEqual(1, len([c for c in s.certificates().values() if c["failures"]]))
        s.kill()
        s.start()
        wait_until("they wait on", lambda: self.reasons(s) == waiting)
        self.assertEqual(asked, ca.orders(), "nor does a restart ask again")
        self.is_over = True
        self.assertEqual(0, s.verb("retry", "--all").returncode)
        s.wait_valid(self.NAMES, bound=90)
