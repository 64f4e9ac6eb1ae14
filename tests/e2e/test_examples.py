"""examples/: what they say is so, and they run. (examples/local has test_local.py besides.)"""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import unittest

import manifest
import processes
import server
from harness import Case

EXAMPLES = os.path.join(server.TOP, "examples")
USER = 65532
SETUP = "mount --make-rprivate / && mount --bind $1 $1 && mount -o remount,bind,ro / && shift"
DROP = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all"]
DROP += ["--bounding-set=-all", "--no-new-privs"]
TEST_PACKAGES = {"ca-certificates", "curl", "openssl", "python3", "pebble", "pmccabe", "mandoc", "iproute2"}
TEST_PACKAGES |= {"libcunit1-dev"}
BEFORE_US = {"libc6"}  # in every image


def text_of(*parts):
    with open(os.path.join(EXAMPLES, *parts), encoding="utf-8") as f:
        return f.read()


def timeless(text):
    """Without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d in \d\dd", "DATE", text)
    return re.sub(r"Pebble Intermediate CA [0-9a-f]{6}", "Pebble Intermediate CA", text)


def can_shut_the_root():
    """Whether we may make the root read-only for a child."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    command = ["unshare", "-m", "sh", "-c", SETUP + "; ! touch / 2>/dev/null", "sh", "/tmp"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Readme(Case):
    def assert_shown(self, text, *parts):
        """Every line of `text` stands in the README."""
        rows = {row.strip() for row in timeless(text_of(*parts)).splitlines()}
        for row in timeless(text).splitlines():
            self.assertIn(row.strip(), rows, parts)


class Local(Readme):
    def test_places_in_the_readme(self):
        with open(os.path.join(server.TOP, "kong.yaml.example"), encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r"(?m)^( *)# (- name: cart|  hosts: \[cart)", r"\1\2", text)
        path = os.path.join(self.folder, "kong.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "nonsense: 1\n")
        done = server.verb("check", "kong.yaml", cwd=self.folder)
        self.assert_shown(done.stdout, "local", "README.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        prefix = {"KONG_PREFIX": os.path.join(self.folder, "p")}
        options = ["--acme-server", "https://localhost:1/dir"]
        done = server.verb("diff", *options, "kong.yaml", cwd=self.folder, environment=prefix)
        readme = text_of("local", "README.md")
        for name in ("cart", "old"):
            place = re.search(rf"{name}\.localhost \((kong.yaml:\d+:\d+)\)", done.stdout)[1]
            self.assertIn(place.removeprefix("kong.yaml"), readme)


class Gitops(Readme):
    def setUp(self):
        super().setUp()
        self.put(text_of("gitops", "kong.yaml"))

    def put(self, text):
        with open(os.path.join(self.folder, "kong.yaml"), "w", encoding="utf-8") as f:
            f.write(text)

    def pipeline(self, *arguments, program=server.BINARY):
        environment = server.clean_environment({"RECONCERT": program})
        if "-c" not in arguments:
            environment["KONG_PREFIX"] = os.path.join(self.folder, "prefix")
        return subprocess.run(
            [os.path.join(EXAMPLES, "gitops", "pipeline.sh"), *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    def comment(self):
        with open(os.path.join(self.folder, "comment.md"), encoding="utf-8") as f:
            return f.read()

    def test_changes(self):
        done = self.pipeline("propose", "kong.yaml")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("to be approved: comment.md", done.stdout.splitlines())
        shown = [row for row in self.comment().splitlines() if not row.startswith("Configuration")]
        self.assert_shown("\n".join(shown), "gitops", "README.md")
        self.assertIn("www.shop.example.com", self.comment())
        with open(os.path.join(self.folder, "plan.json"), encoding="utf-8") as f:
            self.assertIn(f", saved as plan {json.load(f)['hash']}.", self.comment())
        self.assertFalse(os.path.exists(os.path.join(self.folder, "prefix")), "it only looks")

    def test_invalid(self):
        self.put(text_of("gitops", "kong.yaml").replace("account_email", "acount_email"))
        for stage in ("propose", "deliver"):
            done = self.pipeline(stage, "kong.yaml")
            self.assertEqual(1, done.returncode)
            self.assertIn("acount_email: unknown field, did you mean account_email?", done.stdout)
            self.assert_shown(self.comment(), "gitops", "README.md")

    def test_unchecked(self):
        """A check that could not be made is not a file that is invalid."""
        for code, words, arguments, program in (
            (1, "No such file", ["absent.yaml"], server.BINARY),
            (64, "unknown option", ["--strickt", "kong.yaml"], server.BINARY),
            (1, "not found", ["kong.yaml"], os.path.join(self.folder, "absent")),
        ):
            done = self.pipeline("propose", *arguments, program=program)
            self.assertEqual(code, done.returncode)
            self.assertIn("### Could not be checked\n", self.comment())
            self.assertIn(words, self.comment())
            self.assertIn(words, done.stderr)

    def test_blocked(self):
        self.put(text_of("gitops", "kong.yaml").replace("example.com", "shop.localhost"))
        done = self.pipeline("deliver", "kong.yaml")
        self.assertEqual(4, done.returncode)
        self.assertIn("| block |", self.comment())

    def test_nothing_to_do(self):
        self.put('_format_version: "3.0"\n')
        done = self.pipeline("propose", "kong.yaml")
        self.assertEqual((0, True), (done.returncode, "nothing to do" in done.stdout))

    def test_deliver(self):
        """What was proposed is carried out, by a server or without one."""
        ports = processes.free_port(), processes.free_port()
        ca = self.pebble(ports[0])
        s = self.server(text_of("gitops", "kong.yaml"), ca, ports=ports)
        options = ["-c", s.configuration, "kong.yaml"]
        done = self.pipeline("propose", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        done = self.pipeline("deliver", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_shown(done.stdout, "gitops", "README.md")
        self.assertEqual(2, ca.handled()["new-order"])
        done = self.pipeline("deliver", *options)
        self.assertEqual((0, "Nothing to do.\n"), (done.returncode, done.stdout), done.stderr)
        changed = text_of("gitops", "kong.yaml").replace("www.", "new.")
        self.put(changed)
        done = self.pipeline("deliver", *options)
        self.assertEqual(1, done.returncode, "another file than the approved one")
        self.assertIn("the plan says issue, now it is", done.stderr)
        s.start(["--approve"])
        s.wait_valid(["www.shop.example.com"])
        self.assertEqual(0, self.pipeline("propose", *options).returncode)
        s.write(changed)  # merged
        done = self.pipeline("deliver", *options)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("issue new.shop.example.com\nretire www.shop.example.com\n", done.stdout)
        s.wait_valid(["new.shop.example.com"])

    def test_deliver_alone(self):
        """Without a plan that was proposed, it makes one, and says what fails."""
        done = self.pipeline("deliver", "--acme-server", "https://127.0.0.1:1/dir", "kong.yaml")
        self.assertEqual(1, done.returncode, "nobody answers there")
        self.assertIn("could not issue", done.stderr)

    def test_wrong_usage(self):
        self.assertEqual(64, self.pipeline().returncode)
        self.assertEqual(64, self.pipeline("rm").returncode)


class Kubernetes(Readme):
    def setUp(self):
        super().setUp()
        self.manifests = {}
        for name in ("configmap", "service", "statefulset"):
            (found,) = manifest.parse(text_of("kubernetes", name + ".yaml"))
            self.manifests[found["kind"]] = found
        self.pod = self.manifests["StatefulSet"]["spec"]["template"]["spec"]
        (self.container,) = self.pod["containers"]
        self.environment = {row["name"]: row["value"] for row in self.container["env"]}

    def test_another_reader_agrees(self):
        try:
            import yaml  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest("python3-yaml is not there")
        for name in ("configmap", "service", "statefulset"):
            text = text_of("kubernetes", name + ".yaml")
            self.assertEqual(list(yaml.safe_load_all(text)), manifest.parse(text))

    def test_reader_refuses(self):
        values = ["", "[x]", "{}", "yes", "True", "~", "b: c", "&x b", "'x'", '"x', "x # y"]
        values += ["80:80", "1.5", "007", "|-\n  x", ">\n  x", "1\na: 2", "1\n  b: 2"]
        for text in ["a: " + v for v in values] + ["a:", "\ta: 1", "- a\nb: 1", "? a"]:
            with self.subTest(text), self.assertRaises(manifest.Refused):
                manifest.parse(text + "\n")

    def test_pod_has_no_rights(self):
        self.assertEqual(
            {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
             "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}},
            self.pod["securityContext"],
        )  # fmt: skip
        self.assertEqual(
            {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
             "capabilities": {"drop": ["ALL"]}},
            self.container["securityContext"],
        )  # fmt: skip
        self.assertIs(False, self.pod["automountServiceAccountToken"])
        self.assertIn(f"\nUSER {USER}:{USER}\n", text_of("kubernetes", "Containerfile"))
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], 30)

    def test_names_lead_somewhere(self):
        stateful, service = self.manifests["StatefulSet"], self.manifests["Service"]
        labels = stateful["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(labels, stateful["spec"]["selector"]["matchLabels"])
        self.assertEqual(labels, service["spec"]["selector"])
        self.assertEqual(service["metadata"]["name"], stateful["spec"]["serviceName"])
        self.assertEqual(1, stateful["spec"]["replicas"])
        ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}
        self.assertEqual({"http": 8000, "https": 8443, "status": 8007}, ports)
        self.assertEqual("PreferDualStack", service["spec"]["ipFamilyPolicy"])
        led = {p["port"]: ports[p["targetPort"]] for p in service["spec"]["ports"]}
        self.assertEqual({80: 8000, 443: 8443}, led)
        maps = ", ".join(f"{outside}:{inside}" for outside, inside in led.items())
        self.assertEqual(maps, self.environment["KONG_PORT_MAPS"])
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            self.assertEqual("status", self.container[probe]["httpGet"]["port"])

    def test_mounts(self):
        spec = self.manifests["StatefulSet"]["spec"]
        (volume,) = self.pod["volumes"]
        name = self.manifests["ConfigMap"]["metadata"]["name"]
        self.assertEqual(name, volume["configMap"]["name"])
        claim = spec["volumeClaimTemplates"][0]["metadata"]["name"]
        mounts = {m["name"]: m for m in self.container["volumeMounts"]}
        self.assertEqual({volume["name"], claim}, set(mounts))
        self.assertFalse([m for m in mounts.values() if "subPath" in m])
        folder, key = os.path.split(self.environment["KONG_DECLARATIVE_CONFIG"])
        self.assertEqual(mounts[volume["name"]]["mountPath"], folder)
        self.assertIn(key, self.manifests["ConfigMap"]["data"])
        prefix = os.path.dirname(self.environment["KONG_PREFIX"])
        self.assertEqual(mounts[claim]["mountPath"], prefix)

    def test_file_and_settings(self):
        """No problem, and no note on a setting or on port 80."""
        text = self.manifests["ConfigMap"]["data"]["kong.yaml"]
        done = server.verb("check", "-", stdin=text, environment=self.environment)
        self.assertEqual((0, ""), (done.returncode, done.stdout))
        self.assertNotIn("note:", done.stderr)
        settings = server.verb("help", "settings").stdout
        for name in self.environment:
            self.assertRegex(settings, rf"(?m)^{name.removeprefix('KONG_').lower()}\b")

    def run_pod(self, ca, ports, wrap):
        """Starts what the container would, with this machine's folders and ports."""
        for name in ("reconcert", "reconcert-watch"):
            shutil.copy(os.path.join(server.BUILD, name), self.folder)
        file = os.path.join(self.folder, "kong.yaml")
        with open(file, "w", encoding="utf-8") as f:
            f.write(self.manifests["ConfigMap"]["data"]["kong.yaml"])
        plain, tls, status = ports
        shutil.copy(ca.certificate, os.path.join(self.folder, "ca.pem"))
        environment = server.clean_environment(self.environment)
        environment |= {
            "KONG_DECLARATIVE_CONFIG": file,
            "KONG_PREFIX": os.path.join(self.folder, "volume", "prefix"),
            "KONG_PROXY_LISTEN": f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl",
            "KONG_PORT_MAPS": f"80:{plain}, 443:{tls}",
            "KONG_STATUS_LISTEN": f"127.0.0.1:{status}",
            "KONG_ACME_SERVER": ca.url,
            "KONG_ACME_TRUSTED_CERTIFICATE": os.path.join(self.folder, "ca.pem"),
        }
        self.log = os.path.join(self.folder, "pod.log")
        command = wrap + [os.path.join(self.folder, "reconcert"), *self.container["args"]]
        return processes.start(command, self.log, env=environment, process_group=0)

    def test_pod(self):
        """As its user, without capabilities, on a read-only root, a volume as kubelet makes it."""
        if not can_shut_the_root():
            self.skipTest("needs root that may mount")
        ports = [processes.free_port() for _ in range(3)]
        volume = os.path.join(self.folder, "volume")
        os.mkdir(volume)
        os.chown(volume, 0, USER)
        os.chmod(volume, 0o2775)
        ca = self.pebble(ports[0])
        wrap = ["unshare", "-m", "sh", "-c", SETUP + ' && exec "$@"', "sh", volume, *DROP]
        self.process = self.run_pod(ca, ports, wrap)
        self.keep(self)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = self.container[probe]["httpGet"]["path"]
            processes.wait_until(f"{path} is 200", lambda p=path: self.answers(ports[2], p))
        processes.wait_until("its name is served", lambda: self.serves(ca, ports[1]), pause=0.1)
        prefix = os.stat(os.path.join(volume, "prefix"))
        self.assertEqual((USER, 0o700), (prefix.st_uid, prefix.st_mode & 0o777))
        family = processes.tree_of(self.process.pid)
        self.assertEqual(0, processes.stop(self.process, bound=35))
        self.assertFalse([p for p in family if processes.is_running(p)])

    def answers(self, port, path):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8") as f:
                raise AssertionError(f.read())
        try:
            return server.ask(port, path).status == 200
        except OSError:
            return False

    @staticmethod
    def serves(ca, port):
        try:
            server.shake_hands(port, "shop.example.com", context=server.client_context(ca.root()))
        except ssl.SSLCertVerificationError:
            return False  # the default one, still
        return True

    def stop(self):
        processes.stop(self.process)

    @server.needs_default_build
    def test_swap(self):
        done = subprocess.run(
            [sys.executable, os.path.join(EXAMPLES, "kubernetes", "swap.py")],
            env=server.clean_environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assert_shown(done.stdout, "kubernetes", "README.md")
        self.assertEqual(3, done.stdout.count("NAME "))

    def packages(self, stage):
        """What a stage of the Containerfile installs."""
        text = text_of("kubernetes", "Containerfile").split("\nFROM ")[stage + 1]
        words = re.search(r"--no-install-recommends ([^&]*?)(?:&&|\n[A-Z])", text)[1]
        return set(words.replace("\\", " ").split())

    @staticmethod
    def ask(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def test_packages_to_build_with(self):
        with open(os.path.join(server.TOP, "tests", "support", "deps.sh"), encoding="utf-8") as f:
            words = re.search(r'(?s)^packages="(.*?)"', f.read(), re.M)[1]
        self.assertEqual(set(words.split()) - TEST_PACKAGES, self.packages(0))

    def test_packages_to_run_with(self):
        """Each library that the programs ask for comes from a package of the second stage."""
        needed, found = set(), set()
        for name in ("reconcert", "reconcert-watch"):
            text = self.ask("readelf", "-d", os.path.join(server.BUILD, name))
            needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
        for library in needed:
            if library.startswith(("libasan", "libubsan")):
                continue
            owners = self.ask("dpkg", "-S", f"*/{library}").splitlines()
            names = {row.split(":")[0] for row in owners}
            self.assertTrue(names & (self.packages(1) | BEFORE_US), (library, names))
            found |= names
        self.assertEqual({"ca-certificates"}, self.packages(1) - found, "no package is too many")


if __name__ == "__main__":
    unittest.main()
