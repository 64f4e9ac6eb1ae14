"""Other servers and clients to measure against: Debian's packages, unpacked, never installed."""

import json
import os
import shutil

import packages
import processes

PACKAGES = ["nginx", "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"]
PACKAGES += ["caddy", "uacme", "libcurl3-gnutls", "libgnutls30", "libev4"]
PROGRAMS = {
    "nginx": "usr/sbin/nginx",
    "haproxy": "usr/sbin/haproxy",
    "caddy": "usr/bin/caddy",
    "uacme": "usr/bin/uacme",
}


class Peers:
    """The unpacked tree; `why` says what is missing, if something is."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.why = None
        if not all(os.path.exists(self.path(name)) for name in PROGRAMS):
            try:
                packages.unpack(PACKAGES, self.root)
            except packages.Missing as e:
                self.why = str(e)

    def path(self, name):
        return os.path.join(self.root, PROGRAMS[name])

    def has(self, name):
        return os.path.exists(self.path(name))

    def environment(self, home):
        libraries = os.path.join(self.root, "usr/lib/x86_64-linux-gnu")
        places = {name: str(home) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        return {**os.environ, **places, "LD_LIBRARY_PATH": libraries, "GOMAXPROCS": "1"}


class Peer:
    """One TLS server with a folder of PEM files (NAME.pem), on one core; session tickets as ours."""

    def __init__(self, peers, kind, folder, pems, port):
        self.peers, self.kind, self.port = peers, kind, port
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.pems = str(pems)
        self.names = sorted(f[:-4] for f in os.listdir(self.pems) if f.endswith(".pem"))
        self.process = None

    def _put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def _nginx(self):
        servers = "".join(
            f"server {{ listen 127.0.0.1:{self.port} ssl; server_name {n};"
            f" ssl_certificate {self.pems}/{n}.pem; ssl_certificate_key {self.pems}/{n}.pem;"
            ' location / { return 200 "ok\\n"; } }\n'
            for n in self.names
        )
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/t;"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        path = self._put(
            "nginx.conf",
            f"worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            f"user root; events {{ worker_connections 4096; }}\nhttp {{ access_log off; {temporary}\n"
            f"server_names_hash_max_size {max(512, 2 * len(self.names))};\n"
            "server_names_hash_bucket_size 128; ssl_protocols TLSv1.3; ssl_session_cache off;\n"
            f"ssl_session_tickets on;\n{servers}}}\n",
        )
        return [self.peers.path("nginx"), "-c", path, "-g", "daemon off;"]

    def _haproxy(self):
        path = self._put(
            "haproxy.cfg",
            "global\n nbthread 1\n maxconn 4000\n tune.ssl.cachesize 0\n"
            " ssl-default-bind-options ssl-min-ver TLSv1.3\n"
            "defaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n"
            f"frontend f\n bind 127.0.0.1:{self.port} ssl crt {self.pems}/\n"
            " http-request return status 200 content-type text/plain string ok\n",
        )
        return [self.peers.path("haproxy"), "-W", "-f", path]

    def _caddy(self):
        files = [f"{self.pems}/{n}.pem" for n in self.names]
        tls = {
            "certificates": {"load_files": [{"certificate": f, "key": f} for f in files]},
            "cache": {"capacity": max(10000, 2 * len(files))},
        }
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "automatic_https": {"disable": True},
            "tls_connection_policies": [{"protocol_min": "tls1.3"}],
            "routes": [{"handle": [{"handler": "static_response", "body": "ok\n"}]}],
        }
        content = {
            "admin": {"disabled": True},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"tls": tls, "http": {"servers": {"s": server}}},
        }
        return [self.peers.path("caddy"), "run", "--config", self._put("caddy.json", json.dumps(content))]

    def start(self, core="0"):
        command = {"nginx": self._nginx, "haproxy": self._haproxy, "caddy": self._caddy}[self.kind]()
        self.process = processes.start(
            ["taskset", "-c", core, *command],
            os.path.join(self.folder, "log"),
            env=self.peers.environment(self.folder),
        )
        return self

    def stop(self):
        if self.process:
            family = processes.tree_of(self.process.pid)
            processes.stop(self.process, bound=10)
            for pid in family:
                if processes.is_running(pid):
                    os.kill(pid, 9)
        shutil.rmtree(self.folder, ignore_errors=True)
