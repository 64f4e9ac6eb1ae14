"""What an older build wrote, approved and asks for: tests/older/README.md tells which one."""

import json
import os
import zlib

import older
import processes
import storage_log
from harness import Case, document


def newer(log):
    """The same log, in a format that is yet to come."""
    version, marker = storage_log.VERSION_AT, storage_log.MARKER_AT
    copy = log[:version] + (2).to_bytes(4, "little") + log[marker : storage_log.SUM_AT]
    copy += zlib.crc32(copy).to_bytes(4, "little")
    return 2 * copy + log[2 * storage_log.HEADER_COPY :]


def shape(value):
    """What a reader relies on: which members there are, and of which type."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


class Older(Case):
    def setUp(self):
        super().setUp()
        self.ca = self.keep(older.FarCa(os.path.join(self.folder, "ca")))

    def text(self, *names):
        return document([*names, "*.wild.test"], older.FILE_ACME)

    def made(self, text, name="server"):
        settings = {"acme_trusted_certificate": self.ca.behind.certificate}
        return self.server(text, settings=settings, name=name)

    def on_its_prefix(self):
        s = self.made(self.text("a.test", "b.test"))
        older.copy_prefix(s.prefix)
        return s

    def start(self, s, *arguments):
        s.start(arguments, self.ca.environment)

    def ordered(self):
        return sorted(name for _, name in self.ca.sent_orders)

    def test_prefix(self):
        """Read as it is: nothing is ordered, and what its plan approved counts as approved."""
        written = json.loads(older.read("control/status.answer"))["certificates"]
        s = self.on_its_prefix()
        said = {a["name"]: a["action"] for a in s.diff()["actions"]}
        self.assertEqual(dict.fromkeys(older.ISSUED, "keep"), said)
        self.start(s, "--approve")
        s.wait_valid(older.ISSUED)
        told = s.certificates()
        for entry in written:
            fresh = told.pop(entry["name"])
            for member in ("fingerprint", "not_before", "not_after", "issuer", "next", "failures"):
                self.assertEqual(entry[member], fresh[member])
            self.assertEqual(entry["fingerprint"], s.fingerprint(entry["name"]))
        self.assertEqual({}, told, "what is retired stays so")
        s.write(self.text("a.test", "b.test", older.APPROVED, "later.test"))
        s.wait_valid([older.APPROVED])
        because = s.certificates()["later.test"]["next"]["because"]
        self.assertEqual("approval", because["reason"])
        s.stop()
        self.start(s, "--approve")
        s.wait_valid([*older.ISSUED, older.APPROVED])
        self.assertEqual([older.APPROVED], self.ordered())

    def test_plan(self):
        plan = os.path.join(older.FOLDER, "plan.json")
        s = self.made(self.text(*older.PLANNED, "later.test"))
        self.start(s, f"--approve={plan}")
        s.wait_valid(older.PLANNED)
        self.assertEqual("pending", s.state("later.test"))
        self.assertEqual(older.PLANNED, self.ordered())
        other = self.made(self.text(*older.PLANNED), "other")
        done = other.verb("apply", "--max-age", "3650d", plan, environment=self.ca.environment)
        self.assertEqual((0, "issue x.test\nissue y.test\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(sorted(2 * older.PLANNED), self.ordered())

    def test_control_socket(self):
        """Its verbs are understood, and find in the answers what they look for."""
        s = self.on_its_prefix()
        self.start(s)
        s.wait_valid(older.ISSUED)
        for name in ("status", "retry", "retry-all"):
            with self.subTest(name):
                request, answer = (older.read(f"control/{name}.{e}") for e in ("request", "answer"))
                status, body = older.speak(os.path.join(s.prefix, "control.sock"), request)
                self.assertEqual(200, status)
                known, found = shape(json.loads(answer)), shape(json.loads(body))
                self.assertEqual({**found, **known}, found)
        self.assertEqual([], self.ordered())

    def test_what_is_not_known(self):
        """A record of a kind or of a key yet to come: passed over, and left where it is."""
        unknown = []

        def extend(log):
            key = b"reconcert:thing:@family:a.test"
            unknown.append(storage_log.record(log, storage_log.UNKNOWN_KIND, b"what", b"ever"))
            unknown.append(storage_log.record(log, storage_log.PUT, key, b"\x01\x01more"))
            return log + b"".join(unknown)

        s = self.on_its_prefix()
        storage_log.change(s.prefix, extend)
        for _ in range(2):
            self.start(s)
            s.wait_valid(older.ISSUED)
            s.stop()
        with open(os.path.join(s.prefix, "storage", "log"), "rb") as f:
            self.assertIn(b"".join(unknown), f.read())
        self.assertEqual([], self.ordered())

    def test_a_newer_log(self):
        """Refused with a sentence, and left as it is."""
        s = self.on_its_prefix()
        storage_log.change(s.prefix, newer)
        with open(os.path.join(s.prefix, "storage", "log"), "rb") as f:
            before = f.read()
        s.spawn(environment=self.ca.environment)
        processes.wait_until("it gives up", lambda: s.process.poll() is not None)
        self.assertEqual(1, s.process.returncode)
        self.assertIn("format 2", s.log_text())
        with open(os.path.join(s.prefix, "storage", "log"), "rb") as f:
            self.assertEqual(before, f.read())
        self.assertEqual([], self.ordered())
