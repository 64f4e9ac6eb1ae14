"""Debian's packages, unpacked into a folder of ours and never installed."""

import fcntl
import glob
import os
import subprocess


class Missing(Exception):
    """They cannot be had here."""


def unpack(packages, root, apt=("apt-get",)):
    """Unpacks what was not yet, also when several do so at once. `apt`: the client and options."""
    folder = os.path.join(root, "packages")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(root, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in packages:
            done = os.path.join(root, package + ".unpacked")
            if not os.path.exists(done):
                _unpack_one(package, root, folder, apt)
                with open(done, "w", encoding="ascii"):
                    pass


def _unpack_one(package, root, folder, apt):
    try:
        command = [*apt, "download", "-q", package]
        got = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Missing(f"apt-get download {package}: {e}") from e
    files = glob.glob(os.path.join(folder, package + "_*.deb"))
    if got.returncode or not files:
        raise Missing(f"apt-get download {package} failed")
    subprocess.run(["dpkg", "-x", files[0], root], check=True)
