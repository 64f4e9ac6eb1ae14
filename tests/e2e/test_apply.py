"""A saved plan is carried out: that, all of it, and nothing else."""

import json
import os
import threading

from fake_ca import Reply
from harness import Case, declared, document


class Apply(Case):
    def save(self, s, *arguments):
        path = os.path.join(self.folder, "plan.json")
        done = s.verb("diff", "--out", path, *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        return path

    def apply(self, s, plan, *arguments):
        return s.verb("apply", *arguments, plan)

    def change(self, plan, **members):
        with open(plan, encoding="utf-8") as f:
            page = json.load(f)
        with open(plan, "w", encoding="utf-8") as f:
            json.dump({**page, **members}, f)

    def kept(self, s):
        return sorted(a["name"] for a in s.diff()["actions"] if a["action"] == "keep")

    def test_twice(self):
        ca, s = self.pair(document(["a.test", "b.test"]))
        plan = self.save(s)
        done = self.apply(s, plan)
        self.assertEqual((0, "issue a.test\nissue b.test\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(["a.test", "b.test"], self.kept(s))
        self.assertEqual(2, ca.handled()["new-order"])
        again = self.apply(s, plan)
        self.assertEqual((0, "Nothing to do.\n"), (again.returncode, again.stdout), again.stderr)
        self.assertEqual(2, ca.handled()["new-order"])
        s.start()  # the prefix and the listeners are free again, and nothing is ordered
        s.wait_valid(["a.test", "b.test"])
        self.assertEqual(2, ca.handled()["new-order"])

    def test_nothing_else(self):
        ca, s = self.pair(document(["a.test"]))
        plan = self.save(s)
        s.write(document(["a.test", "later.test"]))
        done = self.apply(s, plan)
        self.assertEqual((0, "issue a.test\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(["a.test"], self.kept(s))
        self.assertEqual(1, ca.handled()["new-order"])
        self.assertEqual("issue", s.diff()["actions"][1]["action"])

    def test_retire_and_override(self):
        ca, s = self.pair(document(["gone.wild.test"]))
        self.assertEqual(0, self.apply(s, self.save(s)).returncode)
        s.write(document(["*.wild.test"], certificates=[declared("d.wild.test")]))
        done = self.apply(s, self.save(s))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("issue+ d.wild.test\nretire gone.wild.test\n", done.stdout)
        self.assertEqual([("keep", "d.wild.test")], [(a["action"], a["name"]) for a in s.diff()["actions"]])
        s.write(document(["*.wild.test", "gone.wild.test"], certificates=[declared("d.wild.test")]))
        done = self.apply(s, self.save(s))
        self.assertEqual((0, "adopt gone.wild.test\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(2, ca.handled()["new-order"])

    def test_refused(self):
        ca, s = self.pair(document(["a.test", "b.test"]))
        plan = self.save(s)
        s.write(document(["b.test"]))
        done = self.apply(s, plan)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("a.test: the plan says issue, now it is not listed", done.stderr)
        s.write(document(["a.test", "b.test"]))
        self.change(plan, made_at="2020-01-01T00:00:00Z")
        done = self.apply(s, plan)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("the plan is older than 24 hours", done.stderr)
        self.change(plan, made_at="2100-01-01T00:00:00Z")
        self.assertIn("made in the future", self.apply(s, plan).stderr)
        self.assertNotIn("new-order", ca.handled())
        self.change(plan, made_at="2020-01-01T00:00:00Z")
        self.assertEqual(0, self.apply(s, plan, "--max-age=3650d").returncode)
        for age in ("", "soon", "-1h"):
            self.assertEqual(64, self.apply(s, plan, f"--max-age={age}").returncode)
        self.assertEqual(64, s.verb("apply", plan, "-").returncode)
        self.assertEqual(64, s.verb("apply").returncode)

    def test_what_is_no_plan(self):
        ca, s = self.pair(document(["a.test"]))
        plan = self.save(s)
        issue = {"action": "issue", "name": "a.test", "overrides": None}
        for members, says in (
            ({"made_at": None}, "it is no plan that diff --out has written"),
            ({"made_at": "yesterday"}, "it is no plan that diff --out has written"),
            ({"format": 2}, "it is no plan that diff --out has written"),
            ({"actions": [{**issue, "action": "eat"}]}, "an action in it is not understood"),
            ({"actions": [{**issue, "name": 3}]}, "an action in it is not understood"),
            ({"actions": [{**issue, "name": "x" * 300}]}, "an action in it is not understood"),
            ({"actions": [None]}, "an action in it is not understood"),
            ({"actions": [issue, issue]}, "a name stands in it twice"),
            ({"actions": [issue | {"name": "b.test"}]}, "it was changed after it was made"),
            ({"actions": [issue | {"action": "renew"}]}, "it was changed after it was made"),
            ({"actions": [issue | {"overrides": {}}]}, "it was changed after it was made"),
            ({"hash": None}, "it was changed after it was made"),
        ):
            self.save(s)
            self.change(plan, **members)
            done = self.apply(s, plan)
            self.assertEqual((1, ""), (done.returncode, done.stdout), members)
            self.assertIn(f"{plan}: {says}", done.stderr)
        for text in (b"", b"[]", b"{", b"\0" * 1000, b"[" * 100_000):
            with open(plan, "wb") as f:
                f.write(text)
            done = self.apply(s, plan)
            self.assertEqual((1, ""), (done.returncode, done.stdout), text[:10])
            self.assertIn(plan, done.stderr)
        self.assertEqual(1, self.apply(s, self.folder + "/none.json").returncode)
        self.assertNotIn("new-order", ca.handled())

    def test_what_fails(self):
        def refuse(request):
            if request.kind == "new-order" and "bad.test" in request.names:
                return Reply.problem(400, "rejectedIdentifier", "not that one")
            return None

        _, s = self.pair(document(["good.test", "bad.test"]), before=refuse)
        done = self.apply(s, self.save(s))
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"(?m)^reconcert: bad.test: could not issue: .*not that one")
        self.assertEqual(["good.test"], self.kept(s))

    def test_after_a_crash(self):
        """What a server has begun is finished, and ordered once."""
        finalized, released = threading.Event(), threading.Event()

        def hold(request):
            if request.kind == "finalize" and not finalized.is_set():
                finalized.set()
                released.wait(30)
            return None

        ca, s = self.pair(document(["a.test"]), before=hold)
        plan = self.save(s)
        s.start()
        self.assertTrue(finalized.wait(20))
        s.kill()
        released.set()
        self.assertEqual("order_open", s.diff()["actions"][0]["because"]["reason"])
        done = self.apply(s, plan)
        self.assertEqual((0, "issue a.test\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(["a.test"], self.kept(s))
        self.assertEqual(1, ca.orders("a.test"))

    def test_files_of_the_plan(self):
        """Without FILE and declarative_config, those that the plan was made from."""
        ca, s = self.pair(document(["a.test"]))
        s.write_settings(declarative_config=None)
        done = s.verb("diff", "--out", self.folder + "/stdin.json", "-", stdin=document(["a.test"]))
        self.assertEqual(0, done.returncode, done.stderr)
        done = s.verb("apply", self.folder + "/stdin.json")
        self.assertEqual((64, ""), (done.returncode, done.stdout))
        self.assertIn("the plan was made from standard input", done.stderr)
        plan = self.save(s, s.file)
        self.change(plan, config={"files": [{"file": 3}]})
        self.assertIn("a file in it is not understood", s.verb("apply", plan).stderr)
        self.change(plan, config={"files": []})
        done = s.verb("apply", plan)
        self.assertEqual(64, done.returncode)
        self.assertIn("the plan names none", done.stderr)
        self.assertNotIn("new-order", ca.handled())
        plan = self.save(s, s.file)
        done = s.verb("apply", plan, "--max-age", "1h")  # options behind the plan
        self.assertEqual((0, "issue a.test\n"), (done.returncode, done.stdout), done.stderr)
        s.write(document(["a.test", "b.test"]))
        plan = self.save(s, s.file)
        os.rename(s.file, s.file + ".gone")
        done = s.verb("apply", plan)
        self.assertEqual(1, done.returncode)
        self.assertIn(s.file, done.stderr)

    def test_with_a_server(self):
        ca, s = self.pair(document(["a.test"]))
        plan = self.save(s)
        s.start()
        done = self.apply(s, plan)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(["a.test"], self.kept(s))
        self.assertEqual(1, ca.handled()["new-order"])
        s.write(document(["a.test", "c.test"]))
        plan = self.save(s)
        done = self.apply(s, plan)  # at once: it waits until the server has the file
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(["a.test", "c.test"], self.kept(s))
        other = os.path.join(self.folder, "other.yaml")
        with open(other, "w", encoding="utf-8") as f:
            f.write(document(["a.test", "b.test"]))
        plan = self.save(s, other)
        done = s.verb("apply", "--set", "acme_poll_interval=1", plan, other)
        self.assertEqual(1, done.returncode)
        self.assertIn("runs another configuration than this one", done.stderr)
        self.assertEqual(2, ca.handled()["new-order"])
