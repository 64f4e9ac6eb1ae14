"""What must not be told: other people's files, and keys."""

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import unittest

import memory
import processes
import server
from harness import Case, declared, document, self_signed, service


def fingerprint_of(pair):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0])).hexdigest()


SHADOW = "root:$y$j9T$hidden$word:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
STRANGER = 12345
BOUND = 75  # seconds until no dead key is left: a minute, and a slow machine


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


@unittest.skipIf(os.geteuid() != 0, "only root may look into the memory of others")
class DeadKeys(Case):
    """Keys that nothing needs any more are in no process; keys that are needed are found."""

    def needles(self, **keys):
        return {
            f"{who}: {what}": needle
            for who, text in keys.items()
            for what, needle in (memory.needles_of(text).items() if "-----" in text else [("text", text.encode())])
        }

    def assert_gone(self, s, needles, bound=BOUND):
        left = {}

        def is_clean():
            left["control"] = memory.find(s.control, needles)
            for i, pid in enumerate(s.workers):
                left[f"worker {i}"] = memory.find(pid, needles)
            return not any(left.values())

        try:
            processes.wait_until("no dead key is left", is_clean, bound, 1)
        except processes.Deadline:
            self.fail(f"dead keys: {left}")

    def test_declared(self):
        """Replaced, dropped, of either kind, with a connection open that was made with one."""
        old, new, gone = (self_signed(f"{n}.test") for n in ("old", "new", "gone"))
        rsa = self_signed("rsa.test", key="rsa")
        api_key = "K3y" + os.urandom(24).hex()
        token = "T0k" + os.urandom(24).hex()

        def text(pairs, key):
            consumers = [{"username": "bob", "keyauth_credentials": [{"key": key}]}]
            return document(certificates=[declared(n, pair=p) for n, p in pairs.items()], consumers=consumers)

        s = self.server(text({"old.test": old, "gone.test": gone, "rsa.test": rsa}, api_key))
        s.start()
        for name in ("gone.test", "rsa.test"):
            s.shake_hands(name)
        self.open_connection(s, "old.test")
        dead = self.needles(old=old[1], gone=gone[1], rsa=rsa[1], api=api_key)
        self.assertTrue(memory.find(s.workers[0], self.needles(old=old[1])), "it looks at the right place")
        self.assertTrue(memory.find(s.control, self.needles(api=api_key)))
        s.write(text({"old.test": new}, token))
        processes.wait_until("it serves the new one", lambda: s.fingerprint("old.test") == fingerprint_of(new))
        self.assert_gone(s, dead)
        self.assertTrue(memory.find(s.workers[0], self.needles(new=new[1])))

    def open_connection(self, s, name):
        """A handshake that is over, and a connection that stays."""
        raw = socket.create_connection(("127.0.0.1", s.tls), 10)
        self.addCleanup(raw.close)
        self.addCleanup(server.client_context().wrap_socket(raw, server_hostname=name).close)

    def managed_keys(self, s):
        """By name, as its first order took them down."""
        with open(os.path.join(s.prefix, "storage", "log"), "rb") as f:
            found = re.findall(rb"reconcert:order:([a-z.]+).*?(-----BEGIN.*?-----END[^\n]*\n)", f.read(), re.S)
        return {name.decode(): key.decode() for name, key in reversed(found)}

    def test_managed(self):
        """Renewed, in a worker that had it parsed, and retired: that one may come back, so control has it."""
        settings = {"nginx_worker_processes": "2", "acme_poll_interval": "1"}
        _, s = self.pair(document(["m.test", "r.test"]), settings, validity=600)
        s.start(environment=s.clocked())
        s.wait_valid(["m.test", "r.test"])
        for _ in range(8):
            for name in ("m.test", "r.test"):
                s.shake_hands(name)
        self.open_connection(s, "m.test")
        keys = self.managed_keys(s)
        first = s.fingerprint("m.test")
        for pid in (s.control, s.workers[0], s.workers[1]):
            self.assertTrue(memory.find(pid, self.needles(m=keys["m.test"], r=keys["r.test"])))
        s.write(document(["m.test"]))
        s.set_clock(320)  # more than half of their time
        s.wait_fingerprint("m.test", lambda seen: seen != first)
        self.assert_gone(s, self.needles(m=keys["m.test"]))
        retired = self.needles(r=keys["r.test"])
        self.assertEqual([[], []], [memory.find(pid, retired) for pid in s.workers])

    def test_yaml(self):
        """Text of a file of YAML, that is read and of comments, read and refused, with one worker."""
        words = {w: w.title() + os.urandom(16).hex() for w in ("comment", "folded", "key", "refused")}
        pair = self_signed("y.test")
        text = f"""
_format_version: '3.0' # {words["comment"]}
consumers:
- username: bob
  keyauth_credentials: [{{key: "{words["key"]}"}}]
certificates:
- snis: [{{name: y.test}}]
  cert: {json.dumps(pair[0])}
  key: |
    {pair[1].replace(chr(10), chr(10) + "    ")}
services:
- name: web
  url: http://127.0.0.1:1/
  tags: ['{words["folded"]}
    two', '${{{{ env "DECK_WORD" }}}}']
"""
        s = self.server(text, settings={"acme_deck_env": "on", "nginx_worker_processes": "1"})
        s.start(environment={"DECK_WORD": "x"})
        s.shake_hands("y.test")
        s.write(text + f"oops: {words['refused']}\n")
        processes.wait_until("it is refused", lambda: s.events("config_problem"))
        s.write(document(certificates=[declared("d.test")]))
        processes.wait_until("a good one again", lambda: s.events("condition_cleared"))
        self.assert_gone(s, self.needles(pair=pair[1], **words))

    def test_refused_documents(self):
        """YAML and JSON that parse up to their end, or do not, and one that is valid but for a field."""
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        pairs = [self_signed(f"r{i}.test") for i in range(3)]
        texts = [document(certificates=[declared("r.test", pair=p)]) for p in pairs]
        texts[0] = texts[0] + "\n}"
        texts[2] = texts[2].replace('"certificates"', '"certificatez"', 1)
        for i, bad in enumerate(texts):
            before = s.log_text().count("config_problem")
            if i != 1:
                s.write(bad)
                processes.wait_until("it is refused", lambda b=before: s.log_text().count("config_problem") > b)
                continue
            s.write(bad.replace("3.0", "9.9"))
            processes.wait_until("it is refused", lambda b=before: s.log_text().count("config_problem") > b)
        s.write(document(certificates=[declared("d.test")]))
        processes.wait_until("a good one again", lambda: "condition_cleared" in s.log_text())
        self.assert_gone(s, self.needles(**{f"r{i}": p[1] for i, p in enumerate(pairs)}))
