"""The status listener and `reconcert status`: shapes that programs rely on."""

import http.client
import json
import os
import signal

import server
from fake_ca import Reply
from harness import Case, declared, document

CERTIFICATE = {
    "name", "state", "issuer", "not_before", "not_after", "fingerprint", "declared_at", "next",
    "last_error", "ca", "key_type", "failures",
}  # fmt: skip
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


class Status(Case):
    def test_shapes(self):
        ca, s = self.pair(document(["a.test"], certificates=[declared("d.test")]))
        s.start()
        s.wait_valid(["a.test"])
        page = s.ask_status("/certificates").json
        self.assertEqual(
            ({"format", "config", "problems", "conditions", "certificates"}, 1),
            (set(page), page["format"]),
        )
        entry = page["certificates"][0]
        self.assertEqual(CERTIFICATE, set(entry))
        self.assertEqual({"action", "at", "because"}, set(entry["next"]))
        self.assertEqual({"reason", "text"}, set(entry["next"]["because"]))
        for time in (entry["not_before"], entry["not_after"], entry["next"]["at"]):
            self.assertRegex(time, TIME)
        self.assertRegex(entry["declared_at"][0], r"kong\.yaml:\d+:\d+$")
        whole = s.status_json()
        self.assertEqual(
            {"format", "generation", "config", "problems", "conditions", "certificates"}, set(whole)
        )
        self.assertEqual(page["certificates"], whole["certificates"])
        self.assertEqual(([], []), (whole["problems"], whole["conditions"]))

    def test_problems_and_conditions(self):
        """Both pages have them; a condition says whether it is a fault."""
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        s.write("_format_version: [\n")
        server.processes.wait_until(
            "it is a condition", lambda: s.ask_status("/certificates").json["conditions"]
        )
        page, whole = s.ask_status("/certificates").json, s.status_json()
        [condition] = page["conditions"]
        self.assertEqual({"condition", "level", "since", "text"}, set(condition))
        self.assertEqual(("file_refused", "fault"), (condition["condition"], condition["level"]))
        self.assertEqual("error", page["problems"][0]["severity"])
        for key in ("problems", "conditions"):
            self.assertEqual(page[key], whole[key])

    def ask_as(self, s, host):
        c = http.client.HTTPConnection("127.0.0.1", s.status, timeout=10)
        c.request("GET", "/certificates", headers={"Host": host})
        status = c.getresponse().status
        c.close()
        return status

    def test_rebinding(self):
        """On loopback only an address, localhost, and what is stated."""
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        for host, status in (
            ("127.0.0.1:8007", 200), ("[::1]", 200), ("LOCALHOST:1", 200), ("status.test", 403),
            ("127.0.0.1.evil.test", 403),
        ):  # fmt: skip
            self.assertEqual(status, self.ask_as(s, host), host)
        s.stop()
        s.write_settings(acme_admin_hosts="status.test")
        s.start()
        for host, status in (("status.test:80", 200), ("localhost", 200), ("other.test", 403)):
            self.assertEqual(status, self.ask_as(s, host), host)

    def test_kongs_shapes(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        page = s.ask_status("/status").json
        self.assertRegex(page["configuration_hash"], "^[0-9a-f]{32}$")
        self.assertNotEqual("0" * 32, page["configuration_hash"])
        for name in ("connections_accepted", "connections_active", "connections_handled",
                     "connections_reading", "connections_waiting", "connections_writing",
                     "total_requests"):  # fmt: skip
            self.assertIsInstance(page["server"][name], int)
        self.assertIn("memory", page)
        self.assertEqual({"message": "ready"}, s.ask_status("/status/ready").json)
        self.assertEqual(404, s.ask_status("/nothing").status)

    def test_ready_does_not_wait_for_certificates(self):
        s = self.server(document(["a.test"]), settings={
            "acme_server": "https://127.0.0.1:1/dir"
        })  # fmt: skip
        s.start()
        self.assertIn(s.state("a.test"), ("pending", "failing"))

    def test_no_entities_is_never_ready(self):
        s = self.server('_format_version: "3.0"\n')
        s.spawn()

        def answer():
            try:
                return s.ask_status("/status/ready")
            except OSError:
                return None

        seen = server.processes.wait_until("the status listener answers", answer)
        self.assertEqual(503, seen.status)
        self.assertIn("no configuration available", seen.json["message"])

    def test_draining(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        connection = http.client.HTTPConnection("127.0.0.1", s.status, timeout=10)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/status/ready", "status=draining", kind)
        reply = connection.getresponse()
        reply.read()
        self.assertEqual(204, reply.status)
        seen = s.ask_status("/status/ready")
        self.assertEqual((503, {"message": "draining"}), (seen.status, seen.json))

    def test_text_for_people(self):
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        done = s.verb("status")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        row = next(line for line in done.stdout.splitlines() if "a.test" in line)
        self.assertIn("valid", row)
        self.assertIn("Pebble", row)
        self.assertNotIn("\x1b", done.stdout, "no colours in a pipe")

    def test_exit_code(self):
        s = self.server(document(["a.test"]), settings={"acme_server": "https://127.0.0.1:1/dir"})
        self.assertEqual(1, s.verb("status", "--exit-code").returncode, "no server")
        s.start()
        s.wait_state("a.test", "failing")
        done = s.verb("status", "--exit-code")
        self.assertEqual((0, 4), (s.verb("status").returncode, done.returncode))
        self.assertEqual(1, done.stdout.count("creating the order: "), done.stdout)
        self.assertRegex(done.stdout, "account_unusable since [^ ]+, [0-9]+s ago: as above")
        s.write(document(certificates=[declared("d.test")]))
        server.processes.wait_until(
            "nothing is wrong", lambda: s.verb("status", "--exit-code").returncode == 0
        )
        s.write("[]")
        server.processes.wait_until(
            "the file is refused", lambda: s.verb("status", "--exit-code").returncode == 4
        )

    def test_watch(self):
        """It goes on while the server is away, and ends by Ctrl-C."""
        s = self.server(document(["a.test"]), settings={"acme_server": "https://127.0.0.1:1/dir"})
        seen = os.path.join(self.folder, "seen.log")
        command = [server.BINARY, "status", "--watch", "-c", s.configuration]
        watch = server.processes.start(command, seen, env=server.clean_environment())

        def wait_seen(text):
            def look():
                with open(seen, encoding="utf-8") as f:
                    return text in f.read()

            server.processes.wait_until(f"it shows {text}", look)

        wait_seen("no server is running")
        s.start()
        wait_seen("a.test")
        os.truncate(seen, 0)
        s.stop()
        wait_seen("no server is running")
        self.assertEqual(0, server.processes.stop(watch, signal.SIGINT))

    def test_text_from_outside_is_escaped(self):
        """What a CA says may hold anything; a terminal gets none of it."""
        def before(request):
            if request.kind == "new-order":
                return Reply.problem(400, "rejectedIdentifier", "\x1b[31mred\r\nfake_event name=x")
            return None

        ca, s = self.pair(document(["a.test"]), before=before)
        s.start()
        s.wait_state("a.test", "failing", "blocked")
        done = s.verb("status")
        for text in (done.stdout, s.log_text()):
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\nfake_event", text)
        json.dumps(s.status_json())
