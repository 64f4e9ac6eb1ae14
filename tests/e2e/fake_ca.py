"""A fake: a CA that misbehaves on demand. It stands before Pebble and passes requests on.

`before(request)` sees each request before Pebble does; it may give a Reply instead (Pebble then
never hears of it), raise Drop (the connection is cut), wait, or kill somebody. `after(request,
reply)` sees Pebble's reply before the client does and may change or replace it.
"""

import base64
import http.client
import http.server
import json
import socket
import ssl
import threading
import time

import pebble as pebble_module
import processes

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Drop(Exception):
    """Cut the connection without an answer."""


class Reply:
    def __init__(self, status, body=b"", headers=None):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers or {})

    @classmethod
    def problem(cls, status, kind, detail="made up by a test", **headers):
        body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return cls(status, json.dumps(body), {"Content-Type": "application/problem+json", **headers})

    @property
    def json(self):
        return json.loads(self.body)

    def set_json(self, value):
        self.body = json.dumps(value).encode()


class Request:
    """One request as the CA got it."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.at = time.monotonic()
        stem = "/" + path.split("/")[1]
        self.kind = pebble_module.KINDS.get(stem, stem)
        self.count = 0  # the how manieth of its kind, from 1
        self.reply = None

    @property
    def payload(self):
        """What the JWS carries: None for POST-as-GET and for what is no JWS."""
        try:
            text = json.loads(self.body)["payload"]
            return json.loads(base64.urlsafe_b64decode(text + "==")) if text else None
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def names(self):
        payload = self.payload or {}
        return [i.get("value") for i in payload.get("identifiers", [])]


def challenge_of(ca, request):
    """(name, token) of the challenge that a request is about."""
    for seen in ca.of_kind("authorization"):
        if seen.reply is None or seen.reply.status != 200:
            continue
        content = seen.reply.json
        for challenge in content["challenges"]:
            if challenge["url"].endswith(request.path):
                return content["identifier"]["value"], challenge["token"]
    raise AssertionError("a challenge that no authorization named")


class FakeCa:
    """Listens with HTTPS on a port of its own, with Pebble's server certificate."""

    def __init__(self, behind, before=None, after=None):
        self.behind = behind
        self.before, self.after, self.sent = before, after, None
        self.requests = []  # in the order in which they came
        self.connections = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.port = processes.free_port()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.ca = self
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(behind.certificate, behind.key)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"https://localhost:{self.port}/dir"

    def stop(self):
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def hang(self):
        """For hooks: holds the request until the test ends."""
        self._ending.wait()
        raise Drop

    def of_kind(self, kind):
        with self._lock:
            return [r for r in self.requests if r.kind == kind]

    def orders(self, name=None):
        """How many newOrder requests came (for one name)."""
        return len([r for r in self.of_kind("new-order") if name is None or name in r.names])

    def _note(self, request):
        with self._lock:
            self.requests.append(request)
            request.count = sum(r.kind == request.kind for r in self.requests)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        with self.ca._lock:
            self.ca.connections += 1
        request.settimeout(60)
        try:
            tls = self.ca._tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        try:
            super().finish_request(tls, client_address)
        except (Drop, OSError):
            tls.shutdown(socket.SHUT_RDWR)
        finally:
            tls.close()

    def handle_error(self, request, client_address):
        pass  # a client that leaves is no news; failed tests show themselves


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.upstream = None

    def finish(self):
        if self.upstream:
            self.upstream.close()
        super().finish()

    def log_message(self, *_):
        pass

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        ca = self.server.ca
        ca._note(request)
        reply = ca.before(request) if ca.before else None
        if reply is None:
            reply = self._pass_on(request)
        if ca.after:
            reply = ca.after(request, reply) or reply
        request.reply = reply
        self._send(reply)
        if ca.sent:
            ca.sent(request)

    do_GET = do_HEAD = do_POST = handle_any

    def _pass_on(self, request):
        for fresh in (False, True):
            if fresh or self.upstream is None:
                context = ssl.create_default_context(cafile=self.server.ca.behind.certificate)
                self.upstream = http.client.HTTPSConnection(
                    "localhost", self.server.ca.behind.port, context=context, timeout=30
                )
            headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
            try:
                # Pebble builds its URLs from Host: they lead back to us
                self.upstream.request(request.method, request.path, request.body or None, headers)
                answer = self.upstream.getresponse()
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
                reply = Reply(answer.status, answer.read(), kept)
                reply.links = answer.headers.get_all("Link") or []
                return reply
            except (http.client.HTTPException, OSError):
                if fresh:
                    raise
        return None

    def _send(self, reply):
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if name.lower() != "link":
                self.send_header(name, value)
        for link in getattr(reply, "links", []):
            self.send_header("Link", link)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class ChallengeGate:
    """Stands where Pebble's validator connects and notes each fetch: (time, host, path)."""

    def __init__(self, address="127.0.0.1"):
        self.port = processes.free_port(address)
        self.behind = None  # the port of the server under test
        self.fetches = []
        self.hook = None
        self._listener = socket.create_server((address, self.port))
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self._listener.close()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            client.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                more = client.recv(4096)
                if not more:
                    return
                head += more
            lines = head.decode(errors="replace").split("\r\n")
            hosts = [h.split(":", 1)[1].strip() for h in lines if h.lower().startswith("host:")]
            path = lines[0].split(" ")[1]
            self.fetches.append((time.monotonic(), hosts[0].split(":")[0], path))
            if self.hook:
                self.hook(hosts[0], path)
            with socket.create_connection(("127.0.0.1", self.behind), 20) as server:
                server.sendall(head)
                while more := server.recv(65536):
                    client.sendall(more)
