"""The command line itself: what is refused and in which words, help, completion, asking a server."""

import json
import os
import shutil
import socket
import stat
import subprocess
import threading

import server
from harness import Case

SEE = "see 'reconcert help{}'\n"

# Arguments, what stderr says behind "reconcert: ", and the verb that the hint names.
REFUSED = [
    ([], "no verb given", None),
    (["--"], "no verb given", None),
    (["--strict"], "no verb given", None),
    (["chek"], 'unknown verb "chek", did you mean check?', None),
    (["stat"], 'unknown verb "stat", did you mean status?', None),
    (["preflight"], 'unknown verb "preflight"', None),
    (["health"], 'unknown verb "health": it is status', None),
    (["stop"], 'unknown verb "stop": run ends by SIGTERM', None),
    (["simulate", "--days=0", "f"], '--days takes a number from 1 to 3660, not "0"', "simulate"),
    (["simulate", "--days=3661", "f"], '--days takes a number from 1 to 3660, not "3661"', "simulate"),
    (
        ["simulate", "--lifetime", "long", "f"],
        '--lifetime takes a time such as 45d or 160h, not "long"',
        "simulate",
    ),
    (
        ["simulate", "--ca-outage=3d", "f"],
        '--ca-outage takes a time and a day such as 3d@10, not "3d"',
        "simulate",
    ),
    (
        ["simulate", *["--ca-outage=1d@1"] * 17, "f"],
        "--ca-outage may be given 16 times",
        "simulate",
    ),
    (["diff", "--out=p", "--against=f", "f"], "diff takes either --out or --against", "diff"),
    (["diff", "--days=3", "f"], "diff does not take --days", "diff"),
    ([""], 'unknown verb ""', None),
    (["a\x1b[2Jb"], 'unknown verb "a\\x1b[2Jb"', None),
    (["check", "--fromat", "json"], 'unknown option "--fromat", did you mean --format?', "check"),
    (["diff", "-x"], 'unknown option "-x"', "diff"),
    (["check", "--exit-code", "f"], "check does not take --exit-code", "check"),
    (["run", "--format=json", "f"], "run does not take --format", "run"),
    (["run", "--now", "2026-11-24T00:00:00Z", "f"], "run does not take --now", "run"),
    (["version", "--set", "a=b"], "version does not take --set", "version"),
    (["status", "--version"], "status does not take --version", "status"),
    (["diff", "--exit-code=2"], "--exit-code takes no argument", "diff"),
    (["diff", "--set"], "--set needs KEY=VALUE", "diff"),
    (["diff", "--set="], "--set: KEY=VALUE is empty", "diff"),
    (["diff", "-c"], "--config needs FILE", "diff"),
    (["check", "--format", "xml"], 'unknown format "xml"', "check"),
    (["check", "--format=markdown"], "check does not take --format=markdown", "check"),
    (
        ["check", "--now", "24.11.2026"],
        '--now takes a time such as 2026-11-24T02:57:00Z, not "24.11.2026"',
        "check",
    ),
    (["explain"], "explain needs NAME", "explain"),
    (["status", "kong.yaml"], 'status does not take "kong.yaml"', "status"),
    (["help", "run", "check"], 'help does not take "check"', "help"),
    (["help", "dif"], 'there is no help on "dif", did you mean diff?', None),
    (["help", "setings"], 'there is no help on "setings", did you mean settings?', None),
    (["check", ""], "check does not take an empty word", "check"),
    (["run"], "run needs a FILE, or the setting declarative_config", "run"),
    (["check"], "check needs a FILE, or the setting declarative_config", "check"),
    (["diff"], "diff needs a FILE, or the setting declarative_config", "diff"),
    (["explain", "a.test"], "explain needs a FILE, or the setting declarative_config", "explain"),
]


class Cli(Case):
    def run_verb(self, *arguments, **options):
        options.setdefault("environment", {"KONG_PREFIX": os.path.join(self.folder, "prefix")})
        return server.verb(*arguments, **options)


class Usage(Cli):
    def test_words(self):
        for arguments, says, about in REFUSED:
            with self.subTest(arguments):
                done = self.run_verb(*arguments)
                hint = SEE.format(" " + about if about else "")
                self.assertEqual(f"reconcert: {says}\n{hint}", done.stderr)
                self.assertEqual((64, ""), (done.returncode, done.stdout))
                topic = [about] if about else []
                self.assertEqual(0, self.run_verb("help", *topic).returncode, "the hint works")

    def test_internal_verbs_are_not_for_people(self):
        for name in ("control", "worker"):
            done = self.run_verb(name)
            self.assertEqual(f"reconcert: {name} is started by 'reconcert run' alone\n", done.stderr)
            self.assertEqual(64, done.returncode)
            self.assertEqual(64, self.run_verb("help", name).returncode)
        for arguments in (
            ["control", "--fds=settings=0"],
            ["control", "--fds=settings=999"],
            ["control", "--fds=" + "x" * 5000],
            ["worker", "--slot=999999999999999999999"],
            ["worker", "--slot=0", "--again", "nonsense"],
        ):
            done = self.run_verb(*arguments)
            self.assertEqual(64, done.returncode, arguments)
            self.assertTrue(done.stderr.startswith("reconcert: "), done.stderr)

    def test_missing_file(self):
        missing = os.path.join(self.folder, "no.yaml")
        for verb in (["check"], ["diff"], ["explain", "a.test"]):
            done = self.run_verb(*verb, missing)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertIn(missing, done.stderr)
            self.assertIn("No such file or directory", done.stderr)
        page = json.loads(self.run_verb("check", "--format=json", missing).stdout)
        self.assertEqual([missing], [p["file"] for p in page["problems"]])
        self.assertIsNone(page["problems"][0]["line"])


class Check(Cli):
    BAD = '_format_version: "3.0"\nservices:\n- name: web\n  host: a.test\n  urll: x\n'
    GOOD = '_format_version: "3.0"\nservices:\n- name: web\n  host: a.test\n'

    def test_summary(self):
        done = self.run_verb("check", "-", stdin=self.BAD)
        self.assertEqual((1, "-: 1 error\n"), (done.returncode, done.stderr))
        self.assertEqual("-:5:3: services[1].urll: unknown field, did you mean url?\n", done.stdout)
        done = self.run_verb("check", "-", stdin=self.GOOD)
        self.assertEqual((0, "", "-: no problems\n"), (done.returncode, done.stdout, done.stderr))

    def test_json(self):
        done = self.run_verb("check", "--format=json", "-", stdin=self.BAD)
        self.assertEqual((1, ""), (done.returncode, done.stderr))
        self.assertEqual(
            {
                "format": 1,
                "problems": [
                    {
                        "severity": "error",
                        "file": "-",
                        "line": 5,
                        "column": 3,
                        "path": "services[1].urll",
                        "message": "unknown field, did you mean url?",
                    }
                ],
                "flattened_errors": [
                    {
                        "entity_type": "service",
                        "entity_name": "web",
                        "entity": {"name": "web", "host": "a.test", "urll": "x"},
                        "errors": [{"type": "field", "field": "urll", "message": "unknown field"}],
                    }
                ],
            },
            json.loads(done.stdout),
        )
        done = self.run_verb("check", "--format=json", "-", stdin=self.GOOD)
        self.assertEqual(
            {"format": 1, "problems": [], "flattened_errors": []}, json.loads(done.stdout)
        )

    def test_strict(self):
        text = json.dumps({
            "_format_version": "3.0",
            "plugins": [{"name": "acme", "config": {
                "account_email": "a@b.example", "tos_accepted": True,
                "account_key": {"key_id": "absent"}}}],
        })  # fmt: skip
        for options, code, summary, word in (
            ([], 0, "-: 1 warning\n", ": warning: "),
            (["--strict"], 1, "-: 1 error\n", ": plugins[1]"),
        ):
            done = self.run_verb("check", *options, "-", stdin=text)
            self.assertEqual((code, summary), (done.returncode, done.stderr.splitlines(True)[0]))
            self.assertIn(word, done.stdout)
            self.assertEqual(not options, "warning" in done.stdout)
            page = json.loads(self.run_verb("check", "--format=json", *options, "-", stdin=text).stdout)
            self.assertEqual("error" if options else "warning", page["problems"][0]["severity"])
        self.assertEqual(0, self.run_verb("diff", "-", stdin=text).returncode)

    def test_more_than_are_kept(self):
        text = '_format_version: "3.0"\n' + "".join(f"x{i}: 1\n" for i in range(1003))
        done = self.run_verb("check", "-", stdin=text)
        lines = done.stdout.splitlines()
        self.assertEqual((1, 1001, "and 3 more"), (done.returncode, len(lines), lines[-1]))
        self.assertEqual("-: 1003 errors\n", done.stderr)
        page = json.loads(self.run_verb("check", "--format=json", "-", stdin=text).stdout)
        self.assertEqual((1000, 3), (len(page["problems"]), page["truncated"]))

    def test_flatten(self):
        done = self.run_verb("check", "--flatten", "-", stdin=self.GOOD)
        self.assertEqual((0, "-: no problems\n"), (done.returncode, done.stderr))
        services = json.loads(done.stdout)["services"]
        self.assertEqual([("web", 80)], [(s["name"], s["port"]) for s in services])
        for form in ([], ["--format=json"]):
            plain = self.run_verb("check", *form, "-", stdin=self.BAD)
            flat = self.run_verb("check", "--flatten", *form, "-", stdin=self.BAD)
            self.assertEqual((1, plain.stdout), (flat.returncode, flat.stdout))

    def test_flatten_tells_no_secrets(self):
        """Keys and what the environment gave are starred out, in entities and in sentences."""
        key, deck = "Api" + "0" * 20 + "Key", "Deck" + "1" * 20 + "Value"
        text = f"""
_format_version: "3.0"
consumers:
- username: bob
  keyauth_credentials:
  - key: {key}
services:
- name: web
  url: http://a.test
  tags: ['x ${{{{ env "DECK_T" }}}} y']
"""
        asked = ["check", "--deck-env", "--flatten", "-"]
        done = self.run_verb(*asked, stdin=text, environment={"DECK_T": deck})
        entities = json.loads(done.stdout)
        self.assertEqual("***", entities["keyauth_credentials"][0]["key"])
        self.assertEqual(["***"], entities["services"][0]["tags"])
        self.assertEqual("a.test", entities["services"][0]["host"])
        done = self.run_verb(*asked, "--show-secrets", stdin=text, environment={"DECK_T": deck})
        self.assertEqual([f"x {deck} y"], json.loads(done.stdout)["services"][0]["tags"])
        self.assertIn(key, done.stdout)
        bad = text.replace("http://a.test", 'http://a.test:${{ env "DECK_T" }}/').replace(
            f"- key: {key}", f"- key: {key}\n  - key: {key}")  # fmt: skip
        for form in ("text", "json", "sarif"):
            done = self.run_verb("check", "--deck-env", "--format", form, "-", stdin=bad, environment={"DECK_T": deck})
            self.assertEqual(1, done.returncode)
            self.assertIn("***", done.stdout)
            for word in (key, deck):
                self.assertNotIn(word, done.stdout + done.stderr, form)


class Simulate(Cli):
    TEXT = json.dumps({
        "_format_version": "3.0",
        "plugins": [{"name": "acme", "config": {
            "account_email": "a@b.example", "tos_accepted": True,
            "domains": ["a.example.com", "b.example.com"]}}],
    })  # fmt: skip

    def simulate(self, *arguments):
        done = self.run_verb("simulate", "--now=2026-11-24T00:00:00Z", *arguments, "-", stdin=self.TEXT)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_months(self):
        plain = json.loads(self.simulate("--format=json"))
        self.assertEqual((2, 4, 0, []), (plain["names"], plain["orders"], plain["failed"], plain["at_risk"]))
        short = json.loads(self.simulate("--format=json", "--days=10", "--lifetime=4d"))
        self.assertGreater(short["orders"], plain["orders"])
        away = json.loads(self.simulate("--format=json", "--ca-outage=40d@50"))
        self.assertEqual(2, len(away["at_risk"]))
        self.assertGreater(away["failed"], 0)

    def test_seed(self):
        outage = ["--ca-outage=2d@60", "--format=json"]
        self.assertEqual(self.simulate(*outage, "--seed=7"), self.simulate(*outage, "--seed=7"))
        self.assertNotEqual(self.simulate(*outage, "--seed=7"), self.simulate(*outage, "--seed=8"))

    def test_text(self):
        self.assertTrue(self.simulate("--days=3").startswith("3 days from 2026-11-24T00:00:00Z, 2 names\n"))


class Help(Cli):
    def test_three_ways(self):
        for verb in ("run", "check", "diff", "apply", "explain", "simulate", "status", "schema", "version",
                     "help"):
            text = self.run_verb("help", verb).stdout
            self.assertTrue(text.startswith(f"Usage: reconcert {verb} [OPTION]..."))
            if verb != "help":
                self.assertEqual(text, self.run_verb(verb, "--help").stdout)
                self.assertEqual(text, self.run_verb("-h", verb, "operand").stdout)
        overview = self.run_verb("help").stdout
        self.assertEqual(overview, self.run_verb("--help").stdout)

    def test_what_help_names_is_taken(self):
        values = {"FILE": "/nonexistent", "KEY=VALUE": "prefix=/x", "URL": "https://ca.test/",
                  "TIME": "2026-11-24T00:00:00Z", "text|json": "json",
                  "text|json|markdown": "markdown", "text|json|sarif": "sarif",
                  "json|markdown": "markdown", "N": "7", "TIME@DAY": "3d@10",
                  "FILE|URL|none": "/nonexistent", "PLAN": "/nonexistent/plan"}  # fmt: skip
        for verb in ("check", "diff", "apply", "explain", "simulate", "status", "retry",
                     "schema", "version"):  # fmt: skip
            for line in self.run_verb("help", verb).stdout.splitlines():
                option, _, argument = line.strip().split("  ")[0].split(", ")[-1].partition("=")
                if not option.startswith("--") or option in ("--help", "--watch"):  # which runs on
                    continue
                word = option + "=" + values[argument] if argument else option
                done = self.run_verb(verb, word)
                self.assertNotIn("does not take", done.stderr)
                self.assertNotIn("unknown option", done.stderr)

    def test_manual_is_clean(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        page = self.run_verb("help", "--man").stdout
        lint = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "style"], input=page, text=True, capture_output=True
        )
        self.assertEqual((0, ""), (lint.returncode, lint.stdout))

    def test_completion(self):
        if not shutil.which("bash"):
            self.skipTest("bash is not installed")
        script = self.run_verb("help", "--completion").stdout
        for words, includes, excludes in (
            (["ch"], ["check"], ["run"]),
            ([""], ["run", "status", "help"], ["--format"]),
            (["help", "d"], ["diff"], ["check"]),
            (["diff", "--e"], ["--exit-code"], ["--strict"]),
            (["check", "--"], ["--strict", "--format"], ["--exit-code"]),
            (["check", "--format", ""], ["text", "json"], ["--strict"]),
            (["diff", "--format", "m"], ["markdown"], []),
            (["check", "--format", "m"], [], ["markdown"]),
            (["check", "--format", "="], ["text", "json"], []),
            (["check", "--format", "=", "j"], ["json"], ["text"]),
            (["run", "--set", "proxy_l"], ["proxy_listen="], ["prefix="]),
            (["check", "kong"], [], ["check", "--strict"]),
        ):
            line = " ".join(f"'{word}'" for word in ["reconcert", *words])
            asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _reconcert; echo ${{COMPREPLY[@]}}"
            done = subprocess.run(
                ["bash", "-c", script + asked], text=True, capture_output=True, check=False
            )
            got = done.stdout.split()
            for word in includes:
                self.assertIn(word, got, words)
            for word in excludes:
                self.assertNotIn(word, got, words)


class Output(Cli):
    def run_into(self, stdout, *arguments):
        return subprocess.run(
            [server.BINARY, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for arguments in (["version"], ["help", "--man"], ["--help"]):
                done = self.run_into(full, *arguments)
                self.assertEqual(1, done.returncode)
                self.assertEqual(
                    "reconcert: cannot write to standard output: No space left on device\n",
                    done.stderr,
                )

    def test_reader_that_left(self):
        reading, writing = os.pipe()
        os.close(reading)
        done = self.run_into(writing, "help", "--man")
        os.close(writing)
        self.assertEqual((1, ""), (done.returncode, done.stderr))

    def test_closed_descriptors(self):
        for closed in ("0<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            done = subprocess.run(
                ["sh", "-c", f'"$0" version {closed}', server.BINARY], capture_output=True, check=False
            )
            self.assertEqual(int(">&-" in closed.split()), done.returncode, closed)

    def test_versions(self):
        text = self.run_verb("version", "--verbose").stdout.splitlines()
        page = json.loads(self.run_verb("version", "-v", "--format=json").stdout)
        self.assertEqual("reconcert " + page["version"], text[0])
        self.assertEqual([f"{k} {v}" for k, v in page["libraries"].items()], text[1:])
        self.assertNotIn("", page["libraries"].values())
        short = json.loads(self.run_verb("version", "--format", "json").stdout)
        self.assertEqual({"format": 1, "version": page["version"]}, short)


class Schema(Cli):
    FILES = ["kong.yaml.example", "examples/gitops/kong.yaml"]
    WRONG = ["services: [{url: 'http://a', x: 1}]", "services: [{name: a}]", "routes: [{paths: [a]}]",
             "services: [{host: 'a:80'}]", "services: [{host: a, path: a//b}]", "keys: [{kid: a}]",
             "certificates: [{cert: c, key: k, cert_alt: c}]", "consumers: [{tags: [a]}]",
             "services: [{host: a, tls_verify: true}]", "upstreams: [{name: a, hash_on: header}]",
             "snis: [{name: 1.2.3.4, certificate: a}]", "services: {a: b}"]  # fmt: skip
    RIGHT = ["services: [{url: 'https://a', tls_verify: true}]", "services: {}", "routes: [{paths: ['~/a']}]",
             "services: [{host: a, protocol: https, tls_verify: true}]", "consumers: [{username: a}]",
             "keys: [{kid: a, jwk: '{vault://env/x}'}]", "snis: [{name: '*.a.b', certificate: a}]"]  # fmt: skip

    def read(self, *parts):
        with open(os.path.join(server.TOP, *parts), encoding="utf-8") as f:
            return f.read()

    def golden(self, name):
        return self.read("tests", "golden", "spec", name)

    def test_formats(self):
        done = self.run_verb("schema")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        page = json.loads(done.stdout)
        self.assertIn("draft-07", page["$schema"])
        self.assertEqual(json.loads(self.read("examples", "kong.schema.json")), page)
        self.assertEqual(done.stdout, self.run_verb("schema", "--format=json").stdout)
        self.assertEqual(
            self.golden("reference.md"), self.run_verb("schema", "--format=markdown").stdout
        )
        self.assertEqual(64, self.run_verb("schema", "--format=text").returncode)
        self.assertEqual(64, self.run_verb("schema", "kong.yaml").returncode)

    def test_editors_find_it(self):
        for name in self.FILES:
            line = self.read(name).splitlines()[0]
            path = line.removeprefix("# yaml-language-server: $schema=")
            self.assertNotEqual(line, path, name)
            folder = os.path.dirname(os.path.join(server.TOP, name))
            self.assertEqual(
                os.path.join(server.TOP, "examples", "kong.schema.json"),
                os.path.normpath(os.path.join(folder, path)),
            )

    def test_what_it_lets_through(self):
        try:
            import jsonschema
            import yaml
        except ImportError:
            self.skipTest("python3-jsonschema or python3-yaml is not installed")
        schema = json.loads(self.read("examples", "kong.schema.json"))
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema)
        head = '_format_version: "3.0"\n'
        texts = [*map(self.read, self.FILES), self.golden("whole.yaml"), *(head + t for t in self.RIGHT)]
        for text in texts:
            self.assertEqual([], [e.message for e in validator.iter_errors(yaml.safe_load(text))], text)
        for text in [self.golden("broken.yaml"), *(head + t for t in self.WRONG)]:
            self.assertFalse(validator.is_valid(yaml.safe_load(text)), text)
            self.assertEqual(1, self.run_verb("check", "-", stdin=text).returncode, text)


class FakeServer:
    """Answers each request on prefix/control.sock with the same bytes."""

    def __init__(self, prefix, answer):
        os.makedirs(prefix, exist_ok=True)
        self.answer = answer
        self.requests = []
        self.socket = socket.socket(socket.AF_UNIX)
        here = os.open(prefix, os.O_PATH)  # the path may be longer than an address holds
        self.socket.bind(f"/proc/self/fd/{here}/control.sock")
        os.close(here)
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = peer.recv(65536)
                    if not part:
                        break
                    head += part
                self.requests.append(head.decode())
                peer.sendall(self.answer)

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def answer(body, status="200 OK"):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


class Status(Cli):
    PAGE = {
        "format": 1, "generation": 1, "problems": [], "conditions": [],
        "certificates": [{"name": "a.test", "state": "valid", "issuer": "CA \u202e\n",
                          "not_after": "2027-01-01T00:00:00Z",
                          "next": {"action": "renew", "at": "2026-12-01T00:00:00Z"}}],
    }  # fmt: skip

    def ask(self, reply, *arguments, prefix=None):
        prefix = prefix or os.path.join(self.folder, "prefix")
        fake = self.keep(FakeServer(prefix, reply))
        done = self.run_verb("status", *arguments, environment={"KONG_PREFIX": prefix})
        return fake, done

    def test_nobody_there(self):
        for make in (lambda p: None, os.makedirs, self.leave_socket):
            prefix = os.path.join(self.folder, f"p{id(make)}")
            make(prefix)
            done = self.run_verb("status", environment={"KONG_PREFIX": prefix})
            hint = "(-c or --set prefix=... names another)"
            self.assertEqual(
                f"reconcert: no server is running with prefix {prefix} {hint}\n", done.stderr
            )
            self.assertEqual((1, ""), (done.returncode, done.stdout))

    def leave_socket(self, prefix):
        """What a killed server leaves behind."""
        os.makedirs(prefix)
        left = socket.socket(socket.AF_UNIX)
        left.bind(os.path.join(prefix, "control.sock"))
        left.close()

    def test_table(self):
        fake, done = self.ask(answer(json.dumps(self.PAGE)))
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(
            ["NAME", "STATE", "ISSUER", "EXPIRES", "NEXT"], done.stdout.splitlines()[0].split()
        )
        self.assertIn("CA \\xe2\\x80\\xae\\x0a", done.stdout)
        self.assertTrue(fake.requests[0].startswith("GET /status.json HTTP/1.1\r\n"))

    def test_json_is_the_body(self):
        _, done = self.ask(answer(json.dumps(self.PAGE)), "--format", "json")
        self.assertEqual(json.dumps(self.PAGE) + "\n", done.stdout)

    def test_a_proxy_is_not_asked(self):
        prefix = os.path.join(self.folder, "prefix")
        self.keep(FakeServer(prefix, answer(json.dumps(self.PAGE))))
        environment = {"KONG_PREFIX": prefix, "http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
        self.assertEqual(0, self.run_verb("status", environment=environment).returncode)

    def test_long_prefix(self):
        prefix = os.path.join(self.folder, *["long-folder-name" * 3] * 4)
        _, done = self.ask(answer(json.dumps(self.PAGE)), prefix=prefix)
        self.assertEqual(0, done.returncode, done.stderr)

    def test_odd_answers(self):
        for reply, says in (
            (answer("{}", "503 Service Unavailable"), "answered 503"),
            (answer("{}", "301 Moved\r\nLocation: http://127.0.0.1:1/"), "answered 301"),
            (answer("<html>"), "the server's answer is not a status"),
            (answer("[" * 100_000), "the server's answer is not a status"),
            (b"", "asking the server with prefix"),
            (b"nonsense\r\n\r\n", "asking the server with prefix"),
            (answer("x" * 50)[:-20], "asking the server with prefix"),
        ):
            prefix = os.path.join(self.folder, f"p{hash(reply)}")
            _, done = self.ask(reply, prefix=prefix)
            self.assertIn(says, done.stderr)
            self.assertEqual((1, ""), (done.returncode, done.stdout))

    def test_not_allowed(self):
        if os.geteuid() == 0:
            self.skipTest("root may ask everybody")
        prefix = os.path.join(self.folder, "prefix")
        self.keep(FakeServer(prefix, answer("{}")))
        os.chmod(os.path.join(prefix, "control.sock"), stat.S_IRUSR)
        done = self.run_verb("status", environment={"KONG_PREFIX": prefix})
        self.assertEqual(1, done.returncode)
        self.assertIn("not allowed to ask the server", done.stderr)
