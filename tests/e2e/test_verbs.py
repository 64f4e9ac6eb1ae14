"""The verbs that only look: check, diff, explain, version, help; and the settings."""

import json
import os
import re
import resource
import subprocess

import server
from harness import Case, declared, document

BAD = '_format_version: "3.0"\nservices:\n- name: web\n  urll: http://a.test/\n  port: 70000\n'


class File(Case):
    def put(self, text, name="kong.yaml"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run_verb(self, *arguments, **options):
        options.setdefault("environment", {"KONG_PREFIX": os.path.join(self.folder, "prefix")})
        return server.verb(*arguments, **options)


class Check(File):
    def test_good(self):
        done = self.run_verb("check", self.put(document(["a.test"])))
        self.assertEqual((0, ""), (done.returncode, done.stdout))

    def test_bad(self):
        path = self.put(BAD)
        done = self.run_verb("check", path)
        self.assertEqual(1, done.returncode)
        lines = done.stdout.splitlines()
        self.assertIn(f"{path}:4:3: services[1].urll: unknown field, did you mean url?", lines)
        self.assertTrue(lines[-1].startswith(f"{path}:5:9: services[1].port: "), lines)

    def test_json(self):
        done = self.run_verb("check", "--format", "json", self.put(BAD))
        page = json.loads(done.stdout)
        self.assertEqual(1, done.returncode)
        self.assertEqual({"format", "problems", "flattened_errors"}, set(page))
        self.assertEqual(
            {"severity", "file", "line", "column", "path", "message"}, set(page["problems"][0])
        )

    def test_stdin(self):
        done = self.run_verb("check", "-", stdin=BAD)
        self.assertEqual(1, done.returncode)
        self.assertIn("-:4:3: services[1].urll: unknown field, did you mean url?", done.stdout.splitlines())

    def test_json_document(self):
        self.assertEqual(0, self.run_verb("check", self.put(document(["a.test"]), "k.json")).returncode)
        trailing = self.put('{"_format_version": "3.0", "services": [],}', "t.json")
        self.assertEqual(1, self.run_verb("check", trailing).returncode)

    def test_example(self):
        path = os.path.join(server.TOP, "kong.yaml.example")
        done = self.run_verb("check", "-", stdin=open(path, encoding="utf-8").read())
        self.assertEqual((0, ""), (done.returncode, done.stdout))

    def test_hostile(self):
        bombs = {
            "depth": "[" * 100_000,
            "aliases": "a0: &a0 [x, x]\n"
            + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)),
            "cycle": "a: &a [*a]\n",
            "nul": "a: \0\n",
            "utf8": "a: \udcff\n",
        }  # fmt: skip
        for name, text in bombs.items():
            with self.subTest(name):
                path = os.path.join(self.folder, name + ".yaml")
                with open(path, "wb") as f:
                    f.write(text.encode("utf-8", "surrogateescape"))
                done = self.run_verb("check", path, bound=10)
                self.assertEqual(1, done.returncode, done.stderr)


    @server.needs_default_build
    def test_hostile_and_large(self):
        """Sixteen MiB of each: refused with its place, in less than 100 MB."""
        size = 16 << 20
        head = b'_format_version: "3.0"\n'
        comment = b"# twenty bytes of it.\n"
        filled = head + comment * ((size - 200) // len(comment))
        bomb = b"a0: &a0 [x, x]\n"
        bomb += b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 60))
        files = {
            "list.yaml": (b"[" * size, "1:1: "),
            "list.json": (b"[" * size, "1:65: "),
            "depth.yaml": (head + b"_ignore: " + b"[" * (size - 40), "2:73: "),
            "depth.json": (b'{"a":' * (size // 5), "1:321: "),
            "block.yaml": (head + b"_ignore:\n" + b"- " * (size // 2 - 20), "3:127: "),
            "aliases.yaml": (filled + bomb, "aliases repeat more than"),
            "cycle.yaml": (filled + b"_ignore: &a [[*a]]\n", "stands inside of what it names"),
            "nul.yaml": (filled + b"\0", "a NUL byte"),
            "nul.json": (b'{"_comment":"' + b"x" * (size - 40) + b'\0"}', "1:16777190: "),
            "utf8.yaml": (filled + b"\xff", "bytes that are not UTF-8"),
            "tags.yaml": (b"%TAG !a! tag:x\n" * (size // 15), ":1"),
        }  # fmt: skip

        def bound():
            resource.setrlimit(resource.RLIMIT_DATA, (100_000_000, 100_000_000))

        for name, (text, says) in files.items():
            path = self.put("", name)
            with open(path, "wb") as f:
                f.write(text)
            done = subprocess.run([server.BINARY, "check", path], env=server.clean_environment(),
                                  preexec_fn=bound, capture_output=True, text=True, check=False)  # fmt: skip
            line = done.stdout.partition("\n")[0]
            self.assertEqual(1, done.returncode, name)
            self.assertRegex(line, rf"^{re.escape(path)}:\d+:\d+: failed parsing ")
            self.assertIn(says, line)
            os.unlink(path)


class Diff(File):
    def test_shape_and_exit_codes(self):
        path = self.put(document(["a.test", "*.wild.test"], certificates=[declared("d.wild.test")]))
        options = ["--acme-server", "https://127.0.0.1:1/dir"]
        done = self.run_verb("diff", "--format", "json", *options, path)
        self.assertEqual(0, done.returncode, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual(
            {"format", "config", "against", "actions", "summary", "next_at"}, set(plan)
        )
        self.assertEqual(
            {"issue", "renew", "adopt", "keep", "wait", "block", "retire", "override"},
            set(plan["summary"]),
        )
        self.assertEqual(["a.test", "d.wild.test"], [a["name"] for a in plan["actions"]])
        self.assertEqual(
            {"action", "name", "because", "declared_at", "overrides", "ca", "key_type",
             "not_after", "at", "budget"},
            set(plan["actions"][0]),
        )  # fmt: skip
        self.assertEqual(2, self.run_verb("diff", "--exit-code", *options, path).returncode)
        blocked = self.put(document(["a.localhost"]), "blocked.yaml")
        self.assertEqual(4, self.run_verb("diff", "--exit-code", blocked).returncode)
        nothing = self.put(document([]), "nothing.yaml")
        self.assertEqual(0, self.run_verb("diff", "--exit-code", nothing).returncode)
        self.assertEqual(1, self.run_verb("diff", "--exit-code", self.put(BAD, "b.yaml")).returncode)

    def test_touches_nothing(self):
        path = self.put(document(["a.test"]))
        before = sorted(os.listdir(self.folder))
        self.run_verb("diff", path)
        self.run_verb("explain", "a.test", path)
        self.assertEqual(before, sorted(os.listdir(self.folder)))

    def test_same_bytes(self):
        names = [f"n{i}.test" for i in range(50)]
        path = self.put(document(names))
        options = ["diff", "--format", "json", "--now", "2026-11-24T00:00:00Z", path]
        prefix = {"KONG_PREFIX": os.path.join(self.folder, "prefix")}
        seen = set()
        for zone, language in (("UTC", "C"), ("Asia/Tokyo", "de_DE.UTF-8"), ("America/Lima", "tr_TR")):
            environment = {**prefix, "TZ": zone, "LC_ALL": language}
            seen.add(self.run_verb(*options, environment=environment).stdout)
        self.assertEqual(1, len(seen))

    def test_renewal_seen_from_the_future(self):
        ca, s = self.pair(document(["a.test"]))
        s.start()
        s.wait_valid(["a.test"])
        self.assertEqual("keep", s.diff()["actions"][0]["action"])
        entry = s.certificates()["a.test"]
        at = s.diff("--now", entry["next"]["at"])["actions"][0]
        self.assertEqual(("renew", "renewal_due"), (at["action"], at["because"]["reason"]))
        expired = s.diff("--now", "2100-01-01T00:00:00Z")["actions"][0]
        self.assertEqual("expired", expired["because"]["reason"])


class Explain(File):
    def test_causal_chain(self):
        path = self.put(document(["*.test"], certificates=[declared("d.test")]))
        text = self.run_verb("explain", "d.test", path).stdout
        self.assertIn("kong.yaml:", text)
        self.assertIn("*.test", text)
        self.assertEqual(0, self.run_verb("explain", "unknown.example", path).returncode)


class Words(File):
    def test_usage(self):
        for arguments in (["nonsense"], ["check", "--nonsense"], [], ["explain"], ["diff", "--now", "x"]):
            done = self.run_verb(*arguments)
            self.assertEqual((64, ""), (done.returncode, done.stdout), arguments)
            self.assertTrue(done.stderr)

    def test_version_and_help(self):
        self.assertRegex(self.run_verb("version").stdout, r"^reconcert \d+\.\d+")
        self.assertRegex(self.run_verb("--version").stdout, r"^reconcert \d+\.\d+")
        text = self.run_verb("help").stdout
        for name in ("run", "check", "diff", "explain", "status", "version", "help"):
            self.assertIn(f"\n  {name}", text)
            self.assertEqual(0, self.run_verb("help", name).returncode)

    def test_man_page_has_the_same_rows(self):
        page = self.run_verb("help", "--man").stdout
        self.assertTrue(page.startswith(".") or page.startswith("'"), page[:40])
        for word in ("acme\\-server", "status", "proxy_listen"):
            self.assertIn(word.replace("\\-", "-"), page.replace("\\-", "-"))

    def test_full_pipe_is_a_failure(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = server.subprocess.run(
                [server.BINARY, "help"], stdout=full, stderr=server.subprocess.PIPE, check=False
            )
        self.assertEqual(1, done.returncode)


class Settings(File):
    def test_places_of_mistakes(self):
        conf = self.put("prefix = /x\nproxy_listen = nonsense\n", "kong.conf")
        done = self.run_verb("check", "-c", conf, self.put(document([])))
        self.assertEqual(64, done.returncode)
        self.assertIn("kong.conf:2:", done.stderr)
        self.assertIn("proxy_listen", done.stderr)
        conf = self.put("proxy_listne = 0.0.0.0:8000\n", "kong.conf")
        done = self.run_verb("check", "-c", conf, self.put(document([])))
        self.assertEqual(0, done.returncode, "Kong ignores what it does not know")
        self.assertIn("did you mean proxy_listen", done.stderr)

    def test_each_layer_wins_over_the_last(self):
        paths = {n: self.put(BAD if n != "good" else document([]), n + ".yaml")
                 for n in ("conf", "environment", "set", "good")}  # fmt: skip
        conf = self.put(f"declarative_config = {paths['conf']}\n", "kong.conf")
        environment = {"KONG_DECLARATIVE_CONFIG": paths["environment"]}
        for arguments, used in (
            (["-c", conf], "environment"),
            (["-c", conf, "--set", f"declarative_config={paths['set']}"], "set"),
            (["-c", conf, "--set", f"declarative_config={paths['set']}", paths["good"]], "good"),
        ):
            done = self.run_verb("check", *arguments, environment=environment)
            self.assertEqual(int(used != "good"), done.returncode)
            self.assertEqual(used != "good", f"{used}.yaml:" in done.stdout)
        done = self.run_verb("check", "-c", conf, environment={})
        self.assertIn("conf.yaml:", done.stdout)

    def test_bad_values(self):
        for setting in ("proxy_listen=nonsense", "log_level=loud", "nginx_worker_processes=-1",
                        "database=postgres", "acme_server=http://plain.test/"):  # fmt: skip
            done = self.run_verb("check", "--set", setting, self.put(document([])))
            self.assertEqual(64, done.returncode, setting)
            self.assertIn(setting.split("=")[0], done.stderr)

    def test_note_on_closed_gate(self):
        closed = document([])
        for verb in ("check", "diff"):
            done = self.run_verb(verb, self.put(closed))
            self.assertEqual(0, done.returncode)
            self.assertIn("note: the acme plugin lets no name through", done.stderr)
            self.assertNotIn("through", self.run_verb(verb, self.put(document(["a.test"]))).stderr)

    def test_note_on_port_80(self):
        path = self.put(document(["a.example.com"]))
        self.assertIn("http-01 asks port 80", self.run_verb("check", path).stderr)
        for quiet in (
            ["--set", "port_maps=80:8000"],
            ["--set", "proxy_listen=127.0.0.1:80"],
            ["--acme-server", "https://127.0.0.1:1/dir"],
        ):
            self.assertNotIn("port 80", self.run_verb("check", *quiet, path).stderr, quiet)
        self.assertNotIn("port 80", self.run_verb("check", self.put(document(), "no.yaml")).stderr)

    def test_string_instead_of_file(self):
        environment = {"KONG_DECLARATIVE_CONFIG_STRING": BAD}
        done = self.run_verb("check", environment=environment)
        self.assertEqual(1, done.returncode)
        self.assertIn("services[1].urll", done.stdout)
