#!/usr/bin/env python3
"""Shows what a change of the ConfigMap does, without a cluster.

A folder under build/kubernetes is mounted the way kubelet mounts a ConfigMap, reconcert runs with
the environment of statefulset.yaml and a CA of its own, and the folder is swapped twice, by the
same system calls in the same order as kubelet's AtomicWriter: a name comes, a name goes.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

import manifest  # noqa: E402 (it lies beside the tests)
import processes  # noqa: E402
from pebble import Pebble  # noqa: E402

BINARY = os.path.join(TOP, "build", "reconcert")
COMES, GOES = "new.example.com", "www.shop.example.com"


class Mount:
    """A folder as kubelet fills it from a ConfigMap; pods see `folder`/<key>."""

    def __init__(self, folder):
        self.folder, self.version = folder, 0
        os.mkdir(folder)

    def project(self, files):
        """Puts `files` {key: text} in place of what was there, in one step."""
        self.version += 1
        name = f"..2026_11_24_02_57_00.{self.version}"
        fresh = os.path.join(self.folder, name)
        data, tmp = (os.path.join(self.folder, n) for n in ("..data", "..data_tmp"))
        old = os.readlink(data) if os.path.islink(data) else None
        os.mkdir(fresh, 0o700)
        os.chmod(fresh, 0o755)
        for key, text in files.items():
            path = os.path.join(fresh, key)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.write(fd, text.encode())
            os.close(fd)
            os.chmod(path, 0o644)
        os.symlink(name, tmp)
        os.rename(tmp, data)  # this is the moment
        for key in files:
            visible = os.path.join(self.folder, key)
            if not os.path.islink(visible):
                os.symlink(os.path.join("..data", key), visible)
        if old:
            shutil.rmtree(os.path.join(self.folder, old))


def say(text):
    print(text, flush=True)


def environment(folder, ca, ports):
    """The container's environment, with this machine's folders, ports and CA."""
    (pod,) = manifest.read(os.path.join(HERE, "statefulset.yaml"))
    container = pod["spec"]["template"]["spec"]["containers"][0]
    found = {k: v for k, v in os.environ.items() if not k.startswith("KONG_")}
    found.update({row["name"]: row["value"] for row in container["env"]})
    plain, tls, status = ports
    found["KONG_DECLARATIVE_CONFIG"] = os.path.join(folder, "mount", "kong.yaml")
    found["KONG_PREFIX"] = os.path.join(folder, "prefix")
    found["KONG_PROXY_LISTEN"] = f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl"
    found["KONG_STATUS_LISTEN"] = f"127.0.0.1:{status}"
    found["KONG_PORT_MAPS"] = f"80:{plain}, 443:{tls}"
    found["KONG_ACME_SERVER"] = ca.url
    found["KONG_ACME_TRUSTED_CERTIFICATE"] = ca.certificate
    return found


def valid_names(status_port):
    connection = http.client.HTTPConnection("127.0.0.1", status_port, timeout=2)
    try:
        connection.request("GET", "/certificates")
        entries = json.loads(connection.getresponse().read())["certificates"]
    except OSError:
        return set()  # not there yet
    return {e["name"] for e in entries if e["state"] == "valid"}


def show(folder, given, names, status_port):
    """Waits for these names, then prints the folder and the server's table."""
    processes.wait_until(f"{names} are valid", lambda: valid_names(status_port) == names, 30)
    say("")
    subprocess.run(["ls", "-A", os.path.join(folder, "mount")], check=True)
    subprocess.run([BINARY, "status"], env=given, check=True)
    say("")


def main():
    folder = os.path.join(TOP, "build", "kubernetes")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    (entity,) = manifest.read(os.path.join(HERE, "configmap.yaml"))
    text = entity["data"]["kong.yaml"]
    ports = [processes.free_port() for _ in range(3)]
    mount, ca, server = Mount(os.path.join(folder, "mount")), None, None
    names = {"shop.example.com", GOES}
    try:
        ca = Pebble(os.path.join(folder, "ca"), ports[0]).start()
        given = environment(folder, ca, ports)
        log = os.path.join(folder, "reconcert.log")
        mount.project({"kong.yaml": text})
        server = processes.start([BINARY, "run"], log, env=given, process_group=0)
        show(folder, given, names, ports[2])

        say(f"$ kubectl edit configmap reconcert  # {COMES} comes")
        text = re.sub(rf"(?m)^( *- ){re.escape(GOES)}\n", rf"\g<0>\g<1>{COMES}\n", text)
        mount.project({"kong.yaml": text})
        show(folder, given, names | {COMES}, ports[2])

        say(f"$ kubectl edit configmap reconcert  # {GOES} goes")
        text = "".join(r for r in text.splitlines(True) if r.strip() != f"- {GOES}")
        mount.project({"kong.yaml": text})
        show(folder, given, {"shop.example.com", COMES}, ports[2])
        say(f"its log: {os.path.relpath(log, TOP)}")
        return 0
    finally:
        processes.stop(server, bound=10)
        if ca:
            ca.stop()


if __name__ == "__main__":
    sys.exit(main())
