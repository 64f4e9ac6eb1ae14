"""A log whose reader stands still, and then reads on."""

import json
import os
import re
import subprocess

import server
from harness import Case, document
from processes import wait_until


class Reader(Case):
    def test_stands_still(self):
        ca, s = self.pair(document(["a.test"]), {"acme_log_format": "json", "log_level": "info"})
        os.mkfifo(s.log)
        reader = os.open(s.log, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        s.start()
        s.wait_valid(["a.test"])
        self.fill(s.log)
        names = [f"n{i}.test" for i in range(8)]
        s.write(document(names))
        s.wait_valid(names, bound=60)
        s.shake_hands(names[0])
        text = b""

        def told():
            nonlocal text
            while piece := self.read(reader):
                text += piece
            return re.search(rb'"event":"log_dropped","process":"control","lines":\d+', text)

        wait_until("it is told", told)
        lines = [line for line in text.split(b"\n") if line.startswith(b"{")]
        for line in lines[:-1]:
            json.loads(line)
        self.fill(s.log)
        self.assertEqual(0, s.stop())

    def read(self, reader):
        try:
            return os.read(reader, 1 << 16)
        except BlockingIOError:
            return b""

    def fill(self, path):
        """Until there is no room for a byte."""
        filler = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            for size in (1 << 16, 1):
                try:
                    while os.write(filler, b"\n" * size):
                        pass
                except BlockingIOError:
                    continue
        finally:
            os.close(filler)


class Forms(Case):
    def test_sentences_on_a_terminal(self):
        """Who starts it by hand reads sentences; a file or a pipe gets key=value."""
        ca, s = self.pair(document(["a.test"]))
        near, far = os.openpty()
        self.addCleanup(os.close, near)
        command = [server.BINARY, "run", "-c", s.configuration]
        s.process = subprocess.Popen(
            command, env=server.clean_environment(), stdin=subprocess.DEVNULL, stdout=far,
            stderr=far, start_new_session=True,
        )  # fmt: skip
        os.close(far)
        s.wait_valid(["a.test"])
        self.assertEqual(0, s.stop())
        text = ""
        try:
            while piece := os.read(near, 65536):
                text += piece.decode()
        except OSError:  # the other end is closed
            pass
        for line in text.splitlines():
            self.assertRegex(line, r"^\d\d:\d\d:\d\d [a-z]")
            self.assertNotIn("=", line)
        self.assertRegex(
            text, r"\d a\.test: certificate stored, from Pebble [^,]+, until \d{4}-\d\d-\d\d\r\n"
        )

    def test_booleans(self):
        s = self.server(document([]), settings={"acme_log_format": "json"})
        s.start()
        events = [json.loads(line) for line in s.log_text().splitlines() if line[:1] == "{"]
        self.assertEqual(
            [False, True, False], [e["ssl"] for e in events if e["event"] == "listening"]
        )
