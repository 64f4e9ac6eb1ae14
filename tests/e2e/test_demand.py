"""Names that strangers make up: bounded, and behind everybody else."""

import json
import os
import socket
import time

import server as server_module
from flood import Flood, client_hello
from harness import Case, document
from processes import wait_until
from scripted_ca import ScriptedCa

RSA = {"cert_type": "rsa", "rsa_key_size": 2048}


class Demand(Case):
    def scripted(self, domains, settings=None, acme=None, lifetime=90 * 86400, is_away=lambda: False):
        ca = self.keep(ScriptedCa(os.path.join(self.folder, "ca"), lambda: int(time.time()), lifetime, is_away))
        return ca, self.server(document(domains, acme), ca, settings)

    def counts(self, s):
        server = json.loads(s.ask_status("/status").body)["server"]
        return server["demands_waiting"], server["demands_dropped"]

    def ask_for(self, s, name, address="127.0.0.1", preface=b""):
        with socket.create_connection(("127.0.0.1", s.tls), 5, (address, 0)) as raw:
            raw.sendall(preface + client_hello(name))
            self.assertTrue(raw.recv(1), "the server shakes hands")

    def wait_waiting(self, s, count):
        wait_until(f"{count} wait", lambda: self.counts(s)[0] == count)

    def test_bounds(self):
        """Behind a CA that is away: one address gets its share, others theirs, and no more in all.
        What is beyond is not written down: a restart finds what waited."""
        settings = {"acme_demand_total": "12", "acme_demand_per_address": "5"}
        _, s = self.scripted(["*.flood.test"], settings, is_away=lambda: True)
        s.start()
        flood = Flood(s.tls, "flood.test", 200)
        self.keep(flood)
        wait_until("many are dropped", lambda: self.counts(s)[1] > 50)
        self.assertEqual(5, self.counts(s)[0])
        self.ask_for(s, "mine.flood.test", "127.0.0.2")
        wait_until("another address is heard", lambda: s.state("mine.flood.test"))
        flood.stop()
        more = self.keep(Flood(s.tls, "flood.test", 200, [f"127.0.1.{i}" for i in range(1, 60)]))
        self.wait_waiting(s, 12)
        dropped = self.counts(s)[1]
        wait_until("more are dropped", lambda: self.counts(s)[1] > dropped + 50)
        more.stop()
        self.assertEqual(12, len(s.certificates()))
        self.assertEqual(1, len(s.events("demands_dropped")), "at most once a minute")
        (condition,) = [c for c in s.status_json()["conditions"] if c["condition"] == "demands_dropped"]
        self.assertEqual("note", condition["level"])
        self.assertEqual(0, s.stop())
        s.start()
        self.assertEqual(12, len(s.certificates()))
        self.assertEqual(12, self.counts(s)[0])

    def test_domain(self):
        """New names of one registered domain: so many an hour, though each has its certificate."""
        ca, s = self.scripted(["*.flood.test", "*.other.test"], {"acme_demand_per_domain": "7"})
        s.start()
        addresses = [f"127.0.1.{i}" for i in range(1, 60)]
        self.keep(Flood(s.tls, "x.flood.test", 200, addresses))
        wait_until("more are dropped", lambda: self.counts(s)[1] > 50)
        self.ask_for(s, "a.other.test")
        s.wait_valid(["a.other.test"])
        wait_until("all have theirs", lambda: self.counts(s)[0] == 0)
        self.assertEqual(8, len(s.certificates()))
        self.assertEqual(8, len(ca.sent_orders))

    def test_client_of_a_proxy(self):
        """PROXY protocol tells visitors apart; a balancer's own address says nothing of them."""
        _, s = self.scripted(["*.flood.test"], {"acme_demand_per_address": "1"}, is_away=lambda: True)
        s.write_settings(proxy_listen=f"127.0.0.1:{s.tls} ssl proxy_protocol")
        s.start()
        for visitor, waiting in (("192.0.2.1", 1), ("192.0.2.1", 1), ("192.0.2.2", 2)):
            name = f"n{time.monotonic_ns()}.flood.test"
            self.ask_for(s, name, preface=f"PROXY TCP4 {visitor} 192.0.2.9 1234 443\r\n".encode())
            self.wait_waiting(s, waiting)
        wait_until("one was too many", lambda: self.counts(s)[1] == 1)
        self.assertEqual(0, s.stop())
        s.write_settings(proxy_listen=f"127.0.0.1:{s.tls} ssl", trusted_ips="127.0.0.0/8")
        s.start()
        self.wait_waiting(s, 2)
        for number in range(3):
            self.ask_for(s, f"t{number}.flood.test")
        self.wait_waiting(s, 5)

    def test_made_up_proxy_header(self):
        """Where trusted_ips names the proxies, others' PROXY headers do not count: their own
        address does."""
        _, s = self.scripted(["*.flood.test"], {"acme_demand_per_address": "1"}, is_away=lambda: True)
        s.write_settings(
            proxy_listen=f"127.0.0.1:{s.tls} ssl proxy_protocol", trusted_ips="127.0.0.1"
        )
        s.start()
        for proxy, visitor, waiting in (
            ("127.0.0.2", "192.0.2.1", 1),
            ("127.0.0.2", "192.0.2.2", 1),
            ("127.0.0.1", "192.0.2.3", 2),
            ("127.0.0.1", "192.0.2.4", 3),
        ):
            name = f"n{time.monotonic_ns()}.flood.test"
            before = sum(self.counts(s))
            header = f"PROXY TCP4 {visitor} 192.0.2.9 1234 443\r\n".encode()
            self.ask_for(s, name, proxy, header)
            wait_until("it is heard", lambda: sum(self.counts(s)) > before)
            self.assertEqual(waiting, self.counts(s)[0])

    def test_declared_before_demanded(self):
        """While strangers ask without end for names with RSA keys, a name that is declared goes
        first; so does what the file asks for of theirs."""
        ca, s = self.scripted(["*.flood.test"], {"acme_demand_per_domain": "1000"}, RSA)
        s.start()
        self.keep(Flood(s.tls, "flood.test", 300, [f"127.0.1.{i}" for i in range(1, 100)]))
        wait_until("a hundred wait", lambda: self.counts(s)[0] >= 100, 60)
        s.write(document(["*.flood.test", "new.example.test"], RSA))
        s.wait_valid(["new.example.test"], bound=60)
        before = [name for _, name in ca.sent_orders].index("new.example.test")
        self.assertGreater(self.counts(s)[0], 0, "strangers wait on")
        self.assertLess(before, len(s.certificates()) - 1)


if __name__ == "__main__":
    server_module.main()
