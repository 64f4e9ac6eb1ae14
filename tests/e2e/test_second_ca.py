"""A CA that is not Pebble: the acme_server of Debian's caddy (step-ca's code), short-lived
certificates. It validates at port 80 and by /etc/hosts: in namespaces of the test's own."""

import ctypes
import os
import subprocess
import unittest

import packages
import processes
import server
from harness import Case, document

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
CADDYFILE = """{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system {folder}/storage
    pki {{
        ca local {{
            name "Second CA"
        }}
    }}
}}
https://localhost:{port} {{
    tls internal
    acme_server
}}
"""
HOUR = 3600
NAMES = ["www.second.test", "api.second.test"]


class Caddy:
    """One caddy that is an ACME CA, in `folder`."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.port = processes.free_port()
        os.makedirs(folder)
        self.root = os.path.join(folder, "storage/pki/authorities/local/root.crt")
        self.configuration = os.path.join(folder, "Caddyfile")
        with open(self.configuration, "w", encoding="ascii") as f:
            f.write(CADDYFILE.format(folder=folder, port=self.port))
        self.url = f"https://localhost:{self.port}/acme/local/directory"
        self.process = None

    def start(self):
        command = [self.program, "run", "--adapter", "caddyfile", "--config", self.configuration]
        places = {name: self.folder for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        log = os.path.join(self.folder, "caddy.log")
        self.process = processes.start(command, log, env=server.clean_environment(places))
        processes.wait_until("caddy answers", self._answers, 30)
        return self

    def _answers(self):
        command = ["curl", "-s", "-f", "--cacert", self.root, self.url]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def stop(self):
        processes.stop(self.process)


class SecondCa(Case):
    def isolate(self):
        """A network and a hosts file of this process' own: one.py gives each test one."""
        if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNET | CLONE_NEWNS):
            raise unittest.SkipTest("namespaces of our own take root")
        hosts = os.path.join(self.folder, "hosts")
        with open(hosts, "w", encoding="ascii") as f:
            f.write(f"127.0.0.1 localhost {' '.join(NAMES)}\n")
        for command in (
            ["mount", "--make-rprivate", "/"],
            ["mount", "--bind", hosts, "/etc/hosts"],
            ["ip", "link", "set", "lo", "up"],
        ):
            subprocess.run(command, check=True)

    def caddy(self):
        root = os.path.join(server.BUILD, "peers")
        try:
            packages.unpack(["caddy"], root)
        except packages.Missing as e:
            raise unittest.SkipTest(str(e)) from e
        self.isolate()
        program = os.path.join(root, "usr/bin/caddy")
        return self.keep(Caddy(program, os.path.join(self.folder, "ca")).start())

    def test_issues_and_renews(self):
        """Twelve hours of lifetime: due when half of it is left, and renewed there and then."""
        ca = self.caddy()
        settings = {
            "acme_server": ca.url,
            "acme_trusted_certificate": ca.root,
            "acme_poll_interval": "1",
        }
        s = self.server(document(NAMES), settings=settings, ports=(80, processes.free_port()))
        s.start(environment=s.clocked())
        s.wait_valid(NAMES, bound=60)
        with open(ca.root, encoding="ascii") as f:
            trusting = server.client_context(f.read())
        first = {n: s.shake_hands(n, context=trusting).fingerprint for n in NAMES}
        for name in NAMES:
            entry = s.certificates()[name]
            self.assertEqual("Second CA - ECC Intermediate", entry["issuer"])
            self.assertEqual("renew", entry["next"]["action"])
        s.set_clock(7 * HOUR)
        for name in NAMES:
            s.wait_fingerprint(name, lambda seen, name=name: seen != first[name], 60)
            self.assertTrue(s.shake_hands(name, context=trusting).fingerprint)
