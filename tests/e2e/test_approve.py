"""run --approve: what is new, overridden or dropped waits until a plan that has it is approved."""

import json
import os
import signal

import processes
import server as server_module
from harness import Case, declared, document


class Approve(Case):
    def plan(self, s, name="plan.json", *arguments):
        path = os.path.join(self.folder, name)
        done = s.verb("diff", "--out", path, *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        return path

    def next_of(self, s, name):
        return s.certificates()[name]["next"]

    def wait_held(self, s, name, action):
        def is_held():
            found = s.certificates().get(name, {"next": {"because": {"reason": None}}})
            return found["next"]["because"]["reason"] == "approval"

        processes.wait_until(f"{name} waits for approval", is_held, 20, 0.05)
        self.assertEqual(action, self.next_of(s, name)["action"])

    def wait_listed(self, s, names):
        processes.wait_until(f"{names} are listed", lambda: sorted(names) == sorted(s.certificates()), 20, 0.05)

    def test_first_ones(self):
        ca, s = self.pair(document(["a.test", "b.test"]))
        s.start(["--approve"])
        for name in ("a.test", "b.test"):
            self.wait_held(s, name, "issue")
            self.assertEqual("pending", s.state(name))
        self.assertEqual("2", s.events("approval_awaited")[0]["names"])
        self.assertEqual(2, s.verb("status").stdout.count("    nobody has approved it yet"))
        plan = self.plan(s)
        with open(plan, encoding="utf-8") as f:
            self.assertEqual(["issue", "issue"], [a["action"] for a in json.load(f)["actions"]])
        done = s.verb("apply", plan)
        self.assertEqual((0, "issue a.test\nissue b.test\n"), (done.returncode, done.stdout), done.stderr)
        s.wait_valid(["a.test", "b.test"])
        self.assertEqual(2, ca.handled()["new-order"])
        self.assertEqual("Nothing to do.\n", s.verb("apply", plan).stdout)
        s.write(document(["a.test", "b.test", "c.test"]))
        self.wait_held(s, "c.test", "issue")
        s.stop()
        s.start(["--approve"])  # what was approved stays so, and no more
        s.wait_valid(["a.test", "b.test"])
        self.wait_held(s, "c.test", "issue")
        self.assertEqual(0, s.verb("apply", self.plan(s)).returncode)
        s.wait_valid(["c.test"])
        self.assertEqual(3, ca.handled()["new-order"])

    def test_foretold(self):
        """diff, explain and simulate say of what waits for approval that it waits; a saved plan asks for it."""
        _, s = self.pair(document(["a.test"]), {"acme_approve": "on"})
        done = s.verb("diff")
        self.assertIn("waiting to issue a.test", done.stdout)
        self.assertIn("nobody has approved it yet", done.stdout)
        self.assertNotIn("Next:", done.stdout)
        plan = self.plan(s)
        with open(plan, encoding="utf-8") as f:
            self.assertEqual(["issue"], [a["action"] for a in json.load(f)["actions"]])
        self.assertIn("nobody has approved it yet", s.verb("explain", "a.test").stdout)
        self.assertIn("(approval)", s.verb("simulate", "--days=9").stdout)
        done = s.verb("diff", "--set", f"acme_approve={plan}")
        self.assertIn("issuing a.test", done.stdout)
        self.assertIn("Next: now", done.stdout)

    def test_apply_without_a_server(self):
        """Who applies has approved, whatever the settings say; a server then finds it done."""
        _, s = self.pair(document(["a.test"]), {"acme_approve": "on"})
        done = s.verb("apply", self.plan(s))
        self.assertEqual((0, 1), (done.returncode, done.stderr.count("there is no state under")))
        s.start()
        s.wait_valid(["a.test"])

    def test_retirement_and_override(self):
        pair = declared("d.wild.test")
        ca, s = self.pair(document(["*.wild.test", "gone.wild.test"]))
        s.start()
        s.wait_valid(["gone.wild.test"])
        s.stop()
        s.write(document(["*.wild.test"], certificates=[pair]))
        s.start(["--approve"])
        self.wait_held(s, "d.wild.test", "issue")
        self.wait_held(s, "gone.wild.test", "retire")
        self.assertEqual("valid", s.state("gone.wild.test"))
        self.assertEqual(["gone.wild.test"], self.names_served(s, ca, "gone.wild.test"))
        declared_one = s.fingerprint("d.wild.test")
        explained = s.verb("explain", "--set", "acme_approve=on", "gone.wild.test").stdout
        self.assertIn("retire: nobody has approved it yet", explained)
        self.assertIn("served       the managed certificate", explained)
        against = s.verb("diff", "--format", "json", "--against", f"http://127.0.0.1:{s.status}")
        self.assertEqual(
            [("issue", "d.wild.test"), ("retire", "gone.wild.test")],
            [(a["action"], a["name"]) for a in json.loads(against.stdout)["actions"]],
        )
        done = s.verb("apply", self.plan(s))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("issue+ d.wild.test\nretire gone.wild.test\n", done.stdout)
        s.wait_fingerprint("d.wild.test", lambda seen: seen != declared_one)
        self.wait_listed(s, ["d.wild.test"])
        self.assertEqual(2, ca.handled()["new-order"])
        managed_one = s.fingerprint("d.wild.test")
        s.write(document(services=[]))  # not even a plugin is left
        self.wait_held(s, "d.wild.test", "retire")
        self.assertEqual(managed_one, s.fingerprint("d.wild.test"))
        self.assertEqual(0, s.verb("apply", self.plan(s)).returncode)
        self.wait_listed(s, [])
        self.assertNotEqual(managed_one, s.fingerprint("d.wild.test"))

    @staticmethod
    def names_served(s, ca, name):
        context = server_module.client_context(ca.root())
        return s.shake_hands(name, context=context).names

    def test_a_file(self):
        """The file that diff --out writes is looked at whenever it changes."""
        ca, s = self.pair(document(["a.test"]))
        plan = os.path.join(self.folder, "approved.json")
        s.start([f"--approve={plan}"])
        self.wait_held(s, "a.test", "issue")
        conditions = {c["condition"]: c["text"] for c in s.status_json()["conditions"]}
        self.assertEqual({"approval_file_awaited": f"waits for {plan}"}, conditions)
        self.assertEqual([], [e for e in s.events("condition_set") if e["level"] == "error"])
        told = s.verb("explain", "--set", f"acme_approve={plan}", "a.test")
        self.assertEqual((0, True), (told.returncode, "nobody has approved it" in told.stdout))
        self.assertIn(plan, told.stderr)
        self.plan(s, "approved.json")
        s.wait_valid(["a.test"])
        self.assertEqual([], s.status_json()["conditions"])
        s.write(document(["a.test", "b.test"]))
        self.wait_held(s, "b.test", "issue")
        fresh = self.plan(s, "next.json")
        with open(fresh, encoding="utf-8") as f:
            text = f.read()
        with open(fresh, "w", encoding="utf-8") as f:
            f.write(text.replace("b.test", "c.test"))
        os.rename(fresh, plan)
        self.wait_condition(s, "it was changed after it was made")
        self.wait_held(s, "b.test", "issue")
        with open(plan, "w", encoding="utf-8") as f:
            f.write(text)
        s.process.send_signal(signal.SIGHUP)
        s.wait_valid(["b.test"])
        self.assertEqual(2, ca.handled()["new-order"])
        s.write(document(["a.test", "b.test", "c.test"]))
        self.wait_held(s, "c.test", "issue")
        self.assertEqual(0, s.verb("apply", self.plan(s, "applied.json")).returncode)
        s.wait_valid(["c.test"])  # that counts too

    def wait_condition(self, s, text):
        def is_told():
            return any(text in c["text"] for c in s.status_json()["conditions"])

        processes.wait_until(f"a condition says {text!r}", is_told, 20, 0.1)

    def test_on_demand(self):
        """A visitor's name waits too."""
        ca, s = self.pair(document(["*.wild.test"]))
        s.start(["--approve"])
        s.shake_hands("visitor.wild.test")
        self.wait_held(s, "visitor.wild.test", "issue")
        self.assertNotIn("new-order", ca.handled())
        self.assertEqual(0, s.verb("apply", self.plan(s)).returncode)
        s.wait_valid(["visitor.wild.test"])
        again = self.plan(s, "again.json")
        os.rename(again, os.path.join(s.prefix, "approved.json"))  # the plan is made anew
        processes.wait_until("it is taken", lambda: len(s.events("plan_approved")) == 2, 20, 0.05)
        s.wait_valid(["visitor.wild.test"])
        self.assertEqual([], s.events("certificate_retired"))

    def test_renewals_do_not_wait(self):
        """Neither of what the file asks for nor of what waits to be retired."""
        ca, s = self.pair(document(["a.test", "b.test"]), {"acme_poll_interval": "1"}, validity=600)
        s.start()
        s.wait_valid(["a.test", "b.test"])
        s.stop()
        before = ca.handled()["new-order"]
        s.write(document(["a.test"]))
        s.start(["--approve"], s.clocked())
        self.wait_listed(s, ["a.test", "b.test"])
        s.set_clock(320)  # more than half of their time
        old = {name: s.certificates()[name]["fingerprint"] for name in ("a.test", "b.test")}
        for name, fingerprint in old.items():
            processes.wait_until(
                f"{name} is renewed",
                lambda n=name, f=fingerprint: s.certificates()[n]["fingerprint"] != f,
                60, 0.2,
            )  # fmt: skip
        self.assertEqual(before + 2, ca.handled()["new-order"])
        s.set_clock(0)  # where the new ones are not due
        self.wait_held(s, "b.test", "retire")

    def test_wrong_usage(self):
        _, s = self.pair(document(["a.test"]))
        self.assertEqual(64, s.verb("run", "--approve=").returncode)
        self.assertEqual(64, s.verb("run", "--approve=yes").returncode)
        self.assertEqual(64, s.verb("diff", "--approve").returncode)
