"""Edits of the file while the server runs."""

import json
import os
import shutil
import signal
import threading
import time

from harness import Case, Load, declared, document, self_signed
from processes import wait_until

FAST_POLL = {"acme_poll_interval": "1"}
SLOW_POLL = {"acme_poll_interval": "600"}
BAD = '_format_version: "3.0"\nservices:\n- name: web\n  urll: http://a.test/\n  port: 70000\n'


class Names(Case):
    def test_add_remove_adopt(self):
        ca, s = self.pair(document(["a.test"]), settings=SLOW_POLL)
        s.start()
        default = s.fingerprint()
        s.wait_valid(["a.test"])
        first = s.fingerprint("a.test")
        load = self.keep(Load(s, ["a.test"], threads=2, pause=0.01))
        s.write(document(["a.test", "b.test"]))
        s.wait_valid(["b.test"])
        s.write(document(["b.test"]))
        s.wait_fingerprint("a.test", lambda seen: seen == default)
        self.assertIn(s.state("a.test"), (None, "retired"))
        s.write(document(["a.test", "b.test"]))
        s.wait_fingerprint("a.test", lambda seen: seen == first)
        s.wait_valid(["a.test"])
        load.wait_for(20)
        load.stop()
        self.assertEqual([], load.failures())
        self.assertEqual(2, ca.handled()["new-order"], "what comes back is adopted")

    def test_diff_before_is_what_happens(self):
        ca, s = self.pair(document(["a.test", "gone.test"]))
        s.start()
        s.wait_valid(["a.test", "gone.test"])
        fresh = os.path.join(s.folder, "fresh.yaml")
        text = document(["a.test", "new.test", "old.test"], certificates=[declared("old.test")])
        with open(fresh, "w", encoding="utf-8") as f:
            f.write(text)
        plan = s.diff(fresh)
        foreseen = {a["name"]: a["action"] for a in plan["actions"]}
        self.assertEqual(
            {"a.test": "keep", "gone.test": "retire", "new.test": "issue", "old.test": "issue"},
            foreseen,
        )
        self.assertEqual(1, plan["summary"]["override"])
        orders = ca.handled()["new-order"]
        s.write(text)
        s.wait_valid(["new.test", "old.test"])
        self.assertEqual(orders + 2, ca.handled()["new-order"])
        self.assertIn(s.state("gone.test"), (None, "retired"))
        kept = [a["name"] for a in s.diff()["actions"] if a["action"] == "keep"]
        self.assertEqual(["a.test", "new.test", "old.test"], kept)

    def test_changed_declared_certificate(self):
        first, second = self_signed("d.test"), self_signed("d.test", days=31)
        s = self.server(document(certificates=[declared("d.test", pair=first)]), settings=SLOW_POLL)
        s.start()
        before = s.fingerprint("d.test")
        s.write(document(certificates=[declared("d.test", pair=second)]))
        s.wait_fingerprint("d.test", lambda seen: seen != before)


    def test_blocked_names_are_told(self):
        """Once for each change, so that nobody waits for what is not tried."""
        names = [f"n{i:02}.internal" for i in range(30)]
        s = self.server(document(names[:1], acme={"tos_accepted": True}), settings=SLOW_POLL)
        s.start()
        told = wait_until("it is told", lambda: s.events("certificate_blocked"))
        self.assertEqual([names[0]], [e["name"] for e in told])
        self.assertIn("no public CA certifies this name: ", told[0]["because"])
        self.assertIn("acme_server can name a CA of your own", told[0]["because"])
        s.write(document(names, acme={"tos_accepted": True}))
        rest = wait_until("the rest is counted", lambda: s.events("certificates_blocked"))
        self.assertEqual([("30", "6")], [(e["names"], e["not_listed"]) for e in rest])
        self.assertEqual(1 + 24, len(s.events("certificate_blocked")))

    def test_a_second_server(self):
        """It says who is there: the process that can be told to stop."""
        s = self.server(document([]))
        s.start()
        done = s.verb("run")
        self.assertEqual(1, done.returncode)
        self.assertIn(f"are in use; process {s.process.pid} uses ", done.stderr)


class StandardInput(Case):
    def test_it_is_read_once_and_kept(self):
        """What came by a pipe is gone from it: looks and a new control find it all the same."""
        s = self.server(document([]), settings={**FAST_POLL, "declarative_config": None})
        s.write(document(certificates=[declared("d.test")]))
        reader, writer = os.pipe()
        with open(s.file, "rb") as f:
            os.write(writer, f.read())
        os.close(writer)
        s.start(["-"], stdin=reader)
        os.close(reader)
        served = s.fingerprint("d.test")
        self.assertNotEqual(s.fingerprint(), served)
        control = s.control
        for number in (signal.SIGHUP, signal.SIGKILL):
            loads = len(s.events("config_loaded"))
            os.kill(control, number)
            wait_until("it is read again", lambda: len(s.events("config_loaded")) > loads)
        wait_until("control answers", lambda: s.state("d.test") is None and s.verb("status").returncode == 0)
        self.assertEqual([], s.status_json()["problems"] + s.status_json()["conditions"])
        self.assertEqual(served, s.fingerprint("d.test"))


class BadFile(Case):
    def test_while_running(self):
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        s.write(BAD)
        problems = wait_until("status shows it", lambda: s.status_json()["problems"])
        places = {(p["line"], p["path"]) for p in problems}
        self.assertTrue({(4, "services[1].urll"), (5, "services[1].port")} <= places, places)
        self.assertTrue(s.status_json()["conditions"])
        self.assertEqual(before, s.fingerprint("a.test"), "the old generation serves on")
        s.write(BAD)  # the same content again is no news
        time.sleep(0.5)  # longer than it takes to be noticed
        s.write(document(["a.test", "b.test"]))
        s.wait_valid(["b.test"])
        self.assertEqual([], s.status_json()["problems"])
        self.assertEqual([], s.status_json()["conditions"])
        self.assertEqual(1, s.log_text().count("services[1].urll"), "logged once")

    def test_at_start(self):
        s = self.server(BAD)
        s.spawn()
        self.assertEqual(1, s.process.wait(20))
        text = s.log_text()
        self.assertIn("kong.yaml:4:3: services[1].urll: unknown field, did you mean url?", text)
        self.assertIn("kong.yaml:5:", text)
        self.assertIn("services[1].port", text)

    def test_at_start_in_json(self):
        """Then each line is an object, why it did not start among them."""
        refused = [
            ({}, "the file has 3 errors", BAD),
            ({"ssl_cert": "/none.pem", "ssl_cert_key": "/none.key"}, "ssl_cert: cannot open: ", document([])),
        ]
        for i, (settings, text, file) in enumerate(refused):
            s = self.server(file, settings={"acme_log_format": "json", **settings}, name=f"json-{i}")
            s.spawn()
            self.assertEqual(1, s.process.wait(20))
            events = [json.loads(line) for line in s.log_text().splitlines()]
            failed = [e for e in events if e["event"] == "start_failed"]
            self.assertEqual([("crit", True)], [(e["level"], text in e["error"]) for e in failed], failed)
            self.assertEqual(3 if file == BAD else 0, sum(e["event"] == "config_problem" for e in events))
            self.assertNotIn("child_died", [e["event"] for e in events])

    def test_missing_at_start(self):
        s = self.server(document([]))
        os.unlink(s.file)
        s.spawn()
        self.assertEqual(1, s.process.wait(20))
        self.assertIn("kong.yaml", s.log_text())

    def test_a_file_of_settings_at_start(self):
        """Which setting, and which file, says the refusal: whatever the server needs to have.

        Of what may be a key's text nothing is told.
        """
        empty = os.path.join(self.folder, "empty.pem")
        with open(empty, "w", encoding="utf-8") as f:
            f.write("no PEM\n")
        refused = [
            ({"ssl_cert": "/none.pem", "ssl_cert_key": "/none.key"}, "ssl_cert: cannot open: "),
            ({"ssl_cert": empty, "ssl_cert_key": "/none.key"}, "ssl_cert_key: cannot open: "),
            ({"ssl_cert": empty, "ssl_cert_key": empty}, "ssl_cert and ssl_cert_key: no certificate in"),
            ({"ssl_cert": f"{empty},/a", "ssl_cert_key": f"{empty},/b"}, "pair 1: ssl_cert and ssl_cert_key: "),
            ({"acme_trusted_certificate": "/none.pem"}, "acme_trusted_certificate: /none.pem: cannot open: "),
            ({"lua_ssl_trusted_certificate": f"system,{empty}"}, f"lua_ssl_trusted_certificate: {empty}: holds no"),
            ({"lua_ssl_trusted_certificate": "/a,/b"}, "lua_ssl_trusted_certificate: takes one file, beside system"),
            ({"acme_trusted_certificate": empty}, f"acme_trusted_certificate: {empty}: holds no certificate"),
        ]
        for i, (settings, text) in enumerate(refused):
            s = self.server(document([]), settings=settings, name=f"refused-{i}")
            s.spawn()
            self.assertEqual(1, s.process.wait(20))
            self.assertIn(f"reconcert: {text}", s.log_text())

    def test_last_good_at_start(self):
        ca, s = self.pair(document(["a.test"]), settings={"acme_start_with_last_good": "on"})
        s.start()
        s.wait_valid(["a.test"])
        before = s.fingerprint("a.test")
        s.stop()
        s.write(BAD)
        s.start()
        self.assertEqual(before, s.fingerprint("a.test"))
        status = s.status_json()
        self.assertTrue(status["conditions"])
        self.assertTrue(status["problems"])
        s.write(document(["a.test", "b.test"]))
        s.wait_valid(["b.test"])
        self.assertEqual([], s.status_json()["conditions"])

    def test_missing_while_running(self):
        ca, s = self.pair(document(["a.test"]), settings=SLOW_POLL)
        s.start()
        s.wait_valid(["a.test"])
        os.rename(s.file, s.file + ".away")
        wait_until("it is a condition", lambda: s.status_json()["conditions"])
        self.assertNotEqual(s.fingerprint(), s.fingerprint("a.test"))
        s.write(BAD)  # it can be read again: one condition takes the other's place

        def conditions():
            return [c["condition"] for c in s.status_json()["conditions"]]

        wait_until("it is refused", lambda: conditions() == ["file_refused"])
        os.rename(s.file + ".away", s.file)
        wait_until("its return is seen", lambda: not conditions())
        self.assertEqual(1, ca.handled()["new-order"])


class Events(Case):
    """The ways in which files change (the event table); each brings exactly one generation."""

    def started(self, settings=None):
        self.pairs = [self_signed(f"p{i}.test") for i in range(2)]
        s = self.server(self.text(0), settings=settings or SLOW_POLL)
        s.start()
        return s

    def text(self, number):
        return document(certificates=[declared("d.test", pair=self.pairs[number % 2])])

    def hash(self, s):
        return s.ask_status("/status").json["configuration_hash"]

    def changed(self, s, do, *arguments):
        """`do` must make the server take a new content, once."""
        before, served = self.hash(s), s.fingerprint("d.test")
        loads = len(s.events("config_loaded"))
        do(*arguments)
        wait_until("the change is taken", lambda: self.hash(s) != before)
        s.wait_fingerprint("d.test", lambda seen: seen != served)
        self.assertLessEqual(len(s.events("config_loaded")) - loads, 1)

    def put(self, path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def test_in_place_and_renames(self):
        s = self.started()
        self.changed(s, self.put, s.file, self.text(1))
        self.changed(s, s.write, self.text(0))

        def backup_rename():
            os.rename(s.file, s.file + "~")
            self.put(s.file, self.text(1))
            os.unlink(s.file + "~")

        self.changed(s, backup_rename)

        def delete_and_return():
            os.unlink(s.file)
            self.put(s.file, self.text(0))

        self.changed(s, delete_and_return)

    def test_same_size_and_time(self):
        """Only inode and ctime tell them apart."""
        s = self.started()
        before = os.stat(s.file)

        def replace():
            other = s.file + ".new"
            text = self.text(1)
            self.put(other, text + " " * max(0, before.st_size - len(text)))
            os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
            os.rename(other, s.file)

        self.changed(s, replace)

    def test_writer_in_pieces(self):
        """Half a file is never read: there is no quiet between the pieces."""
        s = self.started()
        text = self.text(1)

        def write_slowly():
            with open(s.file, "w", encoding="utf-8") as f:
                for i in range(0, len(text), 400):
                    f.write(text[i : i + 400])
                    f.flush()

        self.changed(s, write_slowly)
        self.assertEqual([], s.status_json()["problems"])

    def test_kubelet_swap(self):
        """AtomicWriter's system calls, in its order, twice."""
        s = self.server(document([]), settings=SLOW_POLL)
        self.pairs = [self_signed(f"p{i}.test") for i in range(2)]
        volume = os.path.join(s.folder, "volume")
        os.mkdir(volume)

        def project(number):
            stamp = f"..2026_11_24_{number}"
            os.mkdir(os.path.join(volume, stamp), 0o755)
            self.put(os.path.join(volume, stamp, "kong.yaml"), self.text(number))
            os.symlink(stamp, os.path.join(volume, "..data_tmp"))
            old = None
            if os.path.lexists(os.path.join(volume, "..data")):
                old = os.readlink(os.path.join(volume, "..data"))
            os.rename(os.path.join(volume, "..data_tmp"), os.path.join(volume, "..data"))
            if not os.path.lexists(os.path.join(volume, "kong.yaml")):
                os.symlink("..data/kong.yaml", os.path.join(volume, "kong.yaml"))
            if old:
                shutil.rmtree(os.path.join(volume, old))

        project(0)
        s.write_settings(declarative_config=os.path.join(volume, "kong.yaml"))
        s.start()
        self.changed(s, project, 1)
        self.changed(s, project, 2)

    def test_symlinked_release(self):
        """A release folder behind a link: flipped, and written through."""
        s = self.server(document([]), settings=SLOW_POLL)
        self.pairs = [self_signed(f"p{i}.test") for i in range(2)]
        for number in range(2):
            os.mkdir(os.path.join(s.folder, f"release-{number}"))
            self.put(os.path.join(s.folder, f"release-{number}", "kong.yaml"), self.text(number))
        link = os.path.join(s.folder, "current")
        os.symlink("release-0", link)
        s.write_settings(declarative_config=os.path.join(link, "kong.yaml"))
        s.start()

        def flip():
            os.symlink("release-1", link + ".tmp")
            os.rename(link + ".tmp", link)

        self.changed(s, flip)
        self.changed(s, self.put, os.path.join(s.folder, "release-1", "kong.yaml"), self.text(0))

    def test_parent_recreated(self):
        s = self.server(document([]), settings=SLOW_POLL)
        self.pairs = [self_signed(f"p{i}.test") for i in range(2)]
        folder = os.path.join(s.folder, "conf")
        os.mkdir(folder)
        self.put(os.path.join(folder, "kong.yaml"), self.text(0))
        s.write_settings(declarative_config=os.path.join(folder, "kong.yaml"))
        s.start()

        def recreate():
            shutil.rmtree(folder)
            os.mkdir(folder)
            self.put(os.path.join(folder, "kong.yaml"), self.text(1))

        self.changed(s, recreate)

        def swap_folders():
            os.mkdir(folder + ".new")
            self.put(os.path.join(folder + ".new", "kong.yaml"), self.text(0))
            os.rename(folder, folder + ".old")
            os.rename(folder + ".new", folder)

        self.changed(s, swap_folders)

    def test_hard_link_by_the_poll(self):
        """No event has our name in it: the poll finds the change."""
        s = self.started(FAST_POLL)
        other = os.path.join(s.folder, "elsewhere")
        os.mkdir(other)
        os.link(s.file, os.path.join(other, "link.yaml"))
        self.changed(s, self.put, os.path.join(other, "link.yaml"), self.text(1))

    def test_half_a_file_is_not_polled(self):
        """Without an event that tells the end of a write, the poll waits until it has paused."""
        s = self.started(FAST_POLL)
        whole, before = self.text(1), self.hash(s)
        polls = len(s.events("config_loaded"))
        with open(s.file, "w", encoding="utf-8") as f:
            f.write(document(certificates=[declared("half.test")]))  # could be taken
            for _ in range(60):
                f.write("\n")
                f.flush()
                time.sleep(0.05)
            self.assertEqual(polls, len(s.events("config_loaded")))
            self.assertEqual(before, self.hash(s))
            f.seek(0)
            f.truncate()
            f.write(whole)
        wait_until("the whole is taken", lambda: self.hash(s) != before)
        self.assertEqual(polls + 1, len(s.events("config_loaded")))

    def test_same_content_is_no_generation(self):
        s = self.started()
        before = s.status_json()["generation"]
        s.write(self.text(0))
        os.utime(s.file)
        marker = len(s.events("config_loaded"))
        self.changed(s, s.write, self.text(1))
        self.assertLessEqual(s.status_json()["generation"] - before, 2)
        self.assertLessEqual(len(s.events("config_loaded")) - marker, 1)

    def test_hangup_forces(self):
        """What neither event nor poll told: a hard link, with the poll far away."""
        s = self.started()
        other = os.path.join(s.folder, "elsewhere")
        os.mkdir(other)
        os.link(s.file, os.path.join(other, "link.yaml"))
        before = self.hash(s)
        self.put(os.path.join(other, "link.yaml"), self.text(1))
        os.kill(s.process.pid, signal.SIGHUP)
        wait_until("SIGHUP is heard", lambda: self.hash(s) != before)

    def test_watcher_that_dies(self):
        """It is restarted, and what changed meanwhile is not missed."""
        s = self.started()
        watcher = wait_until("the watcher runs", lambda: s.watcher)

        def kill_and_write():
            os.kill(watcher, signal.SIGKILL)
            s.write(self.text(1))

        self.changed(s, kill_and_write)
        wait_until("there is another", lambda: s.watcher not in (None, watcher))
        self.changed(s, s.write, self.text(0))

    def test_watcher_that_is_stopped(self):
        """It would be silent for good: it is replaced, and what changed meanwhile is not missed."""
        s = self.started()
        watcher = wait_until("the watcher runs", lambda: s.watcher)

        def stop_and_write():
            os.kill(watcher, signal.SIGSTOP)
            s.write(self.text(1))

        self.changed(s, stop_and_write)
        wait_until("there is another", lambda: s.watcher not in (None, watcher))
        self.assertEqual([str(watcher)], [e["child_pid"] for e in s.events("watcher_stopped")])
        self.changed(s, s.write, self.text(0))

    def test_busy_writer(self):
        """A file that never rests is still read about once a second."""
        s = self.started()
        before = self.hash(s)
        ending = threading.Event()

        def write_on():
            number = 0
            while not ending.wait(0.03):
                number += 1
                s.write(self.text(1) + "\n" * (number % 2))

        writer = threading.Thread(target=write_on, daemon=True)
        writer.start()
        began = time.monotonic()
        try:
            wait_until("it is read in spite of that", lambda: self.hash(s) != before, 15)
        finally:
            ending.set()
            writer.join()
        self.assertLess(time.monotonic() - began, 10)
