"""reconcert-watch alone: every way to change a file, against the lines that it says."""

import os
import random
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import server
from processes import die_with_parent

SETTLED = 0.4  # seconds without a line: more than its 0.1 s of quiet
BOUND = 10.0


class Watcher:
    """The real program; its lines one by one."""

    def __init__(self, *paths, cwd=None, stdout=None):
        self.lifeline, self.held = os.pipe()
        command = [os.path.join(server.BUILD, "reconcert-watch"), f"--lifeline={self.lifeline}", "--"]
        self.process = subprocess.Popen(
            [*command, *paths],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            pass_fds=[self.lifeline],
            cwd=cwd,
            preexec_fn=die_with_parent,
        )
        self.pending = b""
        self.reader = self.process.stdout
        if self.reader:
            assert self.line() == "ready"

    def read_from(self, fd):
        self.reader = open(fd, "rb", buffering=0)

    def line(self, bound=BOUND):
        """The next line; None when none comes within `bound`."""
        end = time.monotonic() + bound
        while b"\n" not in self.pending:
            left = max(0.0, end - time.monotonic())
            if not select.select([self.reader], [], [], left)[0]:
                return None
            data = os.read(self.reader.fileno(), 4096)
            if not data:
                return "the end"
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def all_lines(self):
        """Every line until it has been silent for a while."""
        lines = []
        while (line := self.line(SETTLED)) is not None:
            lines.append(line)
            if line == "the end":
                break
        return lines

    def close(self):
        for fd in (self.held, self.lifeline):
            if fd >= 0:
                os.close(fd)
        self.held = self.lifeline = -1
        self.reader.close()
        self.process.kill()
        self.process.wait()


class WatchCase(unittest.TestCase):
    def setUp(self):
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="reconcert-watch."))
        self.addCleanup(shutil.rmtree, self.top)
        self.conf = self.path("conf")
        os.mkdir(self.conf)
        self.file = self.path("conf", "kong.yaml")
        self.write(self.file, "a: 1\n")

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def write(self, path, text, mode="w"):
        with open(path, mode, encoding="utf-8") as f:
            f.write(text)

    def watch(self, *paths, **options):
        watcher = Watcher(*(paths or [self.file]), **options)
        self.addCleanup(watcher.close)
        return watcher

    def expect_one(self, watcher, action, *arguments):
        """One settled action, one line. The watcher is stopped meanwhile: on a machine that is busy
        the action could otherwise take longer than the quiet that ends a burst."""
        watcher.process.send_signal(signal.SIGSTOP)
        action(*arguments)
        watcher.process.send_signal(signal.SIGCONT)
        self.assertEqual("changed", watcher.line())
        self.assertEqual([], watcher.all_lines())

    def expect_none(self, watcher, action, *arguments):
        action(*arguments)
        self.assertEqual([], watcher.all_lines())


class OneFile(WatchCase):
    """The rows of the event table."""

    def test_overwrite_append_and_three_writes(self):
        w = self.watch()
        self.expect_one(w, self.write, self.file, "a: 2\n")
        self.expect_one(w, self.write, self.file, "b: 2\n", "a")

        def three_writes():
            with open(self.file, "w", encoding="utf-8", buffering=1) as f:
                for n in range(3):
                    f.write(f"{n}: x\n")

        self.expect_one(w, three_writes)

    def test_editor_backup_rename(self):
        def edit():
            os.rename(self.file, self.file + "~")
            self.write(self.file, "a: 3\n")
            os.unlink(self.file + "~")

        w = self.watch()
        self.expect_one(w, edit)
        self.expect_one(w, edit)

    def test_editor_in_place(self):
        """vim's way: swap files beside it, then a write in place between two changes of mode."""

        def edit():
            self.write(self.path("conf", ".kong.yaml.swp"), "x")
            self.write(self.path("conf", ".kong.yaml.swx"), "x")
            os.unlink(self.path("conf", ".kong.yaml.swx"))
            os.chmod(self.file, 0o600)
            self.write(self.file, "a: 4\n")
            os.chmod(self.file, 0o644)
            os.unlink(self.path("conf", ".kong.yaml.swp"))

        w = self.watch()
        self.expect_one(w, edit)

    def test_rename_over(self):
        def replace(text):
            self.write(self.path("conf", "sedAbC"), text)
            os.rename(self.path("conf", "sedAbC"), self.file)

        w = self.watch()
        self.expect_one(w, replace, "a: 5\n")
        self.expect_one(w, replace, "a: 6\n")

    def test_rename_from_elsewhere(self):
        def replace():
            self.write(self.path("new"), "a: 7\n")
            os.rename(self.path("new"), self.file)

        self.expect_one(self.watch(), replace)

    def test_git_checkout(self):
        def checkout():
            os.unlink(self.file)
            self.write(self.file, "a: 8\n")

        self.expect_one(self.watch(), checkout)

    def test_removal_and_return(self):
        w = self.watch()
        self.expect_one(w, os.unlink, self.file)
        self.expect_one(w, self.write, self.file, "a: 9\n")

    def test_parent_removed_and_made_again_at_once(self):
        def again():
            shutil.rmtree(self.conf)
            os.mkdir(self.conf)
            self.write(self.file, "a: 10\n")

        w = self.watch()
        self.expect_one(w, again)
        self.expect_one(w, self.write, self.file, "a: 11\n")

    def test_parent_removed_and_made_again_slowly(self):
        w = self.watch()
        for n in range(3):  # over and over: nothing dead may be left of the last time
            self.expect_one(w, shutil.rmtree, self.conf)
            self.expect_one(w, os.mkdir, self.conf)
            self.expect_one(w, self.write, self.file, f"a: {n}\n")

    def test_parent_renamed_away(self):
        def swap():
            os.mkdir(self.path("next"))
            self.write(self.path("next", "kong.yaml"), "a: 12\n")
            os.rename(self.conf, self.path("old"))
            os.rename(self.path("next"), self.conf)

        w = self.watch()
        self.expect_one(w, swap)
        self.expect_one(w, self.write, self.file, "a: 13\n")
        self.expect_none(w, self.write, self.path("old", "kong.yaml"), "a: 14\n")

    def test_grandparent_renamed_away(self):
        deep = self.path("x", "y", "z")
        os.makedirs(deep)
        self.write(os.path.join(deep, "kong.yaml"), "a: 1\n")
        w = self.watch(os.path.join(deep, "kong.yaml"))

        def swap():
            os.makedirs(self.path("x2", "y", "z"))
            self.write(self.path("x2", "y", "z", "kong.yaml"), "a: 2\n")
            os.rename(self.path("x"), self.path("x1"))
            os.rename(self.path("x2"), self.path("x"))

        self.expect_one(w, swap)
        self.expect_one(w, self.write, os.path.join(deep, "kong.yaml"), "a: 3\n")

    def test_same_size_same_time(self):
        def replace():
            times = os.stat(self.file)
            self.write(self.path("conf", "tmp"), "a: 2\n")
            os.utime(self.path("conf", "tmp"), ns=(times.st_atime_ns, times.st_mtime_ns))
            os.rename(self.path("conf", "tmp"), self.file)

        self.expect_one(self.watch(), replace)

    def test_deep_path_that_is_not_there(self):
        target = self.path("one", "two", "three", "kong.yaml")
        w = self.watch(target)

        def make():
            os.makedirs(os.path.dirname(target))
            self.write(target, "a: 1\n")

        self.expect_one(w, make)
        self.expect_one(w, self.write, target, "a: 2\n")
        self.expect_one(w, shutil.rmtree, self.path("one"))
        self.expect_one(w, make)

    def test_many_writes_are_one_line_a_second(self):
        w = self.watch()
        began = time.monotonic()
        for n in range(500):
            self.write(self.file, f"a: {n}\n")
        took = time.monotonic() - began
        lines = w.all_lines()
        self.assertIn("changed", lines)
        self.assertLessEqual(len(lines), 1 + int(took))

    def test_busy_writer_does_not_put_it_off(self):
        w = self.watch()
        self.assertLess(self.write_until_line(w), 5.0)

    def write_until_line(self, w):
        began = time.monotonic()
        while w.line(0.02) is None:
            self.write(self.file, str(time.monotonic()))
            self.assertLess(time.monotonic() - began, BOUND)
        return time.monotonic() - began

    def test_another_hard_link_is_the_one_gap(self):
        os.link(self.file, self.path("other"))
        w = self.watch()
        self.expect_none(w, self.write, self.path("other"), "a: 15\n")

    def test_what_lies_beside_it_is_nothing(self):
        w = self.watch()
        self.expect_none(w, self.write, self.path("conf", "other.yaml"), "x")
        self.expect_none(w, self.write, self.path("other"), "x")
        self.expect_none(w, open(self.file, encoding="utf-8").close)

    def test_more_events_than_the_queue_holds(self):
        """The kernel drops events then, and says so: that is a reason to look."""
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as f:
            limit = int(f.read())
        if limit > 65536:
            self.skipTest("the kernel queues very many events")
        w = self.watch()
        w.process.send_signal(signal.SIGSTOP)
        for n in range(limit // 2 + 10):  # two events each, of names that do not matter
            os.rename(self.make_other(n), self.path("conf", "other"))
        self.write(self.file, "a: 16\n")
        w.process.send_signal(signal.SIGCONT)
        self.assertEqual("changed", w.line())
        w.all_lines()
        self.expect_one(w, self.write, self.file, "a: 17\n")

    def make_other(self, n):
        path = self.path("conf", f"other{n}")
        os.symlink("x", path)
        return path


class Links(WatchCase):
    def test_link_to_the_file(self):
        os.symlink("conf/kong.yaml", self.path("link"))
        w = self.watch(self.path("link"))
        self.expect_one(w, self.write, self.file, "a: 2\n")

        def flip(target):
            os.symlink(target, self.path("link.tmp"))
            os.rename(self.path("link.tmp"), self.path("link"))

        self.write(self.path("second.yaml"), "a: 3\n")
        self.expect_one(w, flip, "second.yaml")
        self.expect_one(w, self.write, self.path("second.yaml"), "a: 4\n")
        self.expect_none(w, self.write, self.file, "a: 5\n")

    def test_link_to_a_release_folder(self):
        for name in ("r1", "r2", "r3"):
            os.mkdir(self.path(name))
            self.write(self.path(name, "kong.yaml"), name)
        os.symlink("r1", self.path("current"))
        w = self.watch(self.path("current", "kong.yaml"))

        def flip(target):
            os.symlink(target, self.path("current.tmp"))
            os.rename(self.path("current.tmp"), self.path("current"))

        self.expect_one(w, flip, "r2")
        self.expect_one(w, self.write, self.path("r2", "kong.yaml"), "x")
        self.expect_one(w, flip, self.path("r3"))
        self.expect_none(w, self.write, self.path("r2", "kong.yaml"), "y")

    def test_link_that_leads_nowhere_yet(self):
        os.symlink("later/kong.yaml", self.path("link"))
        w = self.watch(self.path("link"))
        self.expect_one(w, os.mkdir, self.path("later"))
        self.expect_one(w, self.write, self.path("later", "kong.yaml"), "a: 1\n")

    def test_links_in_a_circle(self):
        os.symlink("b", self.path("a"))
        os.symlink("a", self.path("b"))
        w = self.watch(self.path("a"))

        def mend():
            os.unlink(self.path("b"))
            self.write(self.path("b"), "a: 1\n")

        self.expect_one(w, mend)

    def test_path_with_dots_and_relative(self):
        w = self.watch("conf/../conf/./kong.yaml", cwd=self.top)
        self.expect_one(w, self.write, self.file, "a: 2\n")

    def test_two_files(self):
        self.write(self.path("second.yaml"), "x")
        w = self.watch(self.file, self.path("second.yaml"))
        self.expect_one(w, self.write, self.file, "a: 2\n")
        self.expect_one(w, self.write, self.path("second.yaml"), "y")


class Kubelet(WatchCase):
    """A mounted ConfigMap: AtomicWriter's system calls, in its order."""

    def setUp(self):
        super().setUp()
        self.mount = self.path("mount")
        os.mkdir(self.mount)
        self.project(1)

    def project(self, n):
        """What kubelet does with a new version of the ConfigMap."""
        name = f"..2026_11_24_02_57_0{n}.{n}"
        folder = os.path.join(self.mount, name)
        data, tmp = os.path.join(self.mount, "..data"), os.path.join(self.mount, "..data_tmp")
        old = os.readlink(data) if os.path.islink(data) else None
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        payload = os.path.join(folder, "kong.yaml")
        fd = os.open(payload, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(fd, b"version: %d\n" % n)
        os.close(fd)
        os.chmod(payload, 0o644)
        os.symlink(name, tmp)
        os.rename(tmp, data)
        visible = os.path.join(self.mount, "kong.yaml")
        if not os.path.islink(visible):
            os.symlink("..data/kong.yaml", visible)
        if old:
            os.unlink(os.path.join(self.mount, old, "kong.yaml"))
            os.rmdir(os.path.join(self.mount, old))

    def test_swap_of_the_file(self):
        w = self.watch(os.path.join(self.mount, "kong.yaml"))
        for n in (2, 3, 4):
            self.expect_one(w, self.project, n)

    def test_swap_of_the_folder(self):
        w = self.watch(self.mount)
        for n in (2, 3):
            self.expect_one(w, self.project, n)


class Folder(WatchCase):
    def test_what_comes_and_goes(self):
        w = self.watch(self.conf)
        self.expect_one(w, self.write, self.file, "a: 2\n")
        self.expect_one(w, self.write, self.path("conf", "second.yaml"), "x")
        self.expect_one(w, os.unlink, self.path("conf", "second.yaml"))
        self.expect_none(w, self.write, self.path("conf", ".hidden"), "x")
        os.mkdir(self.path("sub.next"))
        self.write(self.path("sub.next", "third.yaml"), "x")
        self.expect_one(w, os.rename, self.path("sub.next"), self.path("conf", "sub"))
        self.expect_one(w, self.write, self.path("conf", "sub", "third.yaml"), "y")

    def test_folder_that_is_not_there(self):
        w = self.watch(self.path("none"))
        self.expect_one(w, os.mkdir, self.path("none"))
        self.expect_one(w, self.write, self.path("none", "kong.yaml"), "x")


class Limits(WatchCase):
    """What lies beyond a limit is found by polling; what lies within is still seen."""

    def test_folders_too_deep(self):
        deepest = self.path("conf", *["d"] * 16)
        os.makedirs(os.path.join(deepest, "d"))
        w = self.watch(self.conf)
        self.expect_one(w, self.write, os.path.join(deepest, "kong.yaml"), "x")
        self.expect_none(w, self.write, os.path.join(deepest, "d", "kong.yaml"), "x")

    def test_too_many_folders(self):
        for n in range(8192):
            os.mkdir(self.path("conf", f"d{n}"))
        w = self.watch(self.file, self.conf)
        self.expect_one(w, self.write, self.file, "x")

    def test_links_too_many(self):
        self.write(self.path("target.yaml"), "x")
        os.symlink("target.yaml", self.path("l0"))
        for n in range(1, 41):
            os.symlink(f"l{n - 1}", self.path(f"l{n}"))
        within, beyond = self.watch(self.path("l39")), self.watch(self.path("l40"))
        self.write(self.path("target.yaml"), "y")
        self.assertEqual("changed", within.line())
        self.assertEqual([], beyond.all_lines())


class Leaving(WatchCase):
    def test_end_of_the_lifeline(self):
        w = self.watch()
        os.close(w.held)
        w.held = -1
        self.assertEqual(0, w.process.wait(BOUND))

    def test_reader_gone(self):
        w = self.watch()
        w.process.stdout.close()
        self.assertEqual(0, w.process.wait(BOUND))

    def test_wrong_usage(self):
        program = os.path.join(server.BUILD, "reconcert-watch")
        for arguments in ([], ["--"], ["--lifeline=x", "p"], ["--lifeline=999", "p"]):
            done = subprocess.run([program, *arguments], capture_output=True, check=False)
            self.assertEqual(64, done.returncode, arguments)
            self.assertIn(b"reconcert-watch", done.stderr)

    def test_full_pipe_blocks_nothing(self):
        """While nobody reads, lines are dropped: those that wait are enough to make it look."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            pass
        w = Watcher(self.file, stdout=writer)
        self.addCleanup(w.close)
        os.close(writer)
        self.write(self.file, "a: 2\n")
        w.read_from(reader)
        for n in range(20):
            self.write(self.file, f"a: {n}\n")
            if w.line(1.0) == "changed":  # the first ones hang on the filling
                return
        self.fail("it says nothing any more")


class Storm(WatchCase):
    def test_afterwards_it_still_sees(self):
        """Changes at full speed, the watcher in the middle of walking: nothing may be left deaf."""
        dice = random.Random(7)
        target = self.path("a", "b", "kong.yaml")
        w = self.watch(target)
        for _ in range(5):
            for _ in range(200):
                dice.choice([self.make, self.flip, self.drop, self.rename])(target)
            w.all_lines()
            shutil.rmtree(self.path("a"), ignore_errors=True)
            self.make(target)
            self.assertEqual("changed", w.line())
            w.all_lines()
            self.expect_one(w, self.write, target, "x")

    def make(self, target):
        if os.path.islink(self.path("a")):
            os.unlink(self.path("a"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        self.write(target, "x")

    def flip(self, _target):
        if not os.path.lexists(self.path("a")):
            os.symlink("old", self.path("a"))

    def drop(self, _target):
        shutil.rmtree(self.path("old"), ignore_errors=True)

    def rename(self, _target):
        if os.path.isdir(self.path("a")) and not os.path.islink(self.path("a")):
            shutil.rmtree(self.path("old"), ignore_errors=True)
            os.rename(self.path("a"), self.path("old"))
