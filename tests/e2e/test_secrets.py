"""What must not be told: other people's files, and keys."""

import os
import signal
import unittest

import processes
from harness import Case, declared, document, service

SHADOW = "root:$y$j9T$hidden$word:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
STRANGER = 12345


@unittest.skipIf(os.geteuid() != 0, "only root can start it so that it may read everything")
class OtherPeoplesFiles(Case):
    def led_astray(self, text, mode):
        """A server whose kong.yaml becomes a link to `text`, made by who may write its folder."""
        s = self.server(document(services=[service(hosts=["a.test"])]))
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(secret, mode)
        os.chown(s.folder, STRANGER, STRANGER)
        s.start()
        os.symlink(secret, s.file + ".link")
        os.rename(s.file + ".link", s.file)
        return s, secret

    def assert_silent(self, s, words):
        told = s.log_text() + s.ask_status("/certificates").body.decode() + s.ask_status("/status").body.decode()
        for word in words:
            self.assertNotIn(word, told)

    def test_what_root_alone_may_read(self):
        s, _ = self.led_astray(SHADOW, 0o600)
        processes.wait_until("it cannot be read", lambda: "Permission denied" in s.log_text())
        self.assert_silent(s, ["hidden", "daemon", "19000"])

    def test_what_another_user_owns(self):
        """Readable, but it is not the server's: the place is told and not the text."""
        texts = ["_format_version: '3.0'\nroot.hidden.word: 1\n", "a: *hidden\n", "a: !!int hidden\n"]
        s, secret = self.led_astray("", 0o644)
        os.chown(secret, STRANGER, STRANGER)
        for i, text in enumerate(texts):
            before = s.log_text().count("config_problem")
            with open(secret, "w", encoding="utf-8") as f:
                f.write(text)
            os.utime(secret, (1e9 + i, 1e9 + i))
            s.process.send_signal(signal.SIGHUP)
            processes.wait_until(
                "it is refused", lambda before=before: s.log_text().count("config_problem") > before
            )
        self.assertIn("kong.yaml:2:1 ", s.log_text())
        self.assertIn("another user", s.log_text())
        self.assert_silent(s, ["hidden"])

    def test_own_folder(self):
        """A file that is root's alone, in a folder that nobody else may write: as ever."""
        s = self.server(document(certificates=[declared("d.test")]))
        os.chmod(s.file, 0o400)
        s.start()
        self.assertEqual(200, s.ask_status("/status/ready").status)
