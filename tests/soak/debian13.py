#!/usr/bin/env python3
"""The built programs on Debian 13's OpenSSL 3.5: `debian13.py BUILD`.

Its packages are laid over this machine's libraries in namespaces of our own; nothing is installed.
There the tests of TLS, keys and serving run, and a client that speaks nothing but the hybrid of
ML-KEM and X25519 shakes hands. The sources are compiled against its headers, too. Exit code 0, 1,
or 77 with a reason where any of this cannot be had.
"""

import glob
import os
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

import packages  # noqa: E402

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
SOURCES = "/etc/apt/sources.list.d/debian.sources"
PACKAGES = ["libc6", "libssl3t64", "libssl-dev", "zlib1g", "libzstd1", "openssl"]
TESTS = ["unit/serve", "unit/pki", "unit/io", "e2e/test_serving", "e2e/test_debian13"]
SKIPPED = 77
BOUND = 600


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIPPED)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=BOUND, **options)


def fetch(folder):
    """The packages of Debian 13, unpacked below `folder`; from where this machine has its own."""
    if not os.path.exists(SOURCES):
        skip(f"no {SOURCES} that says where Debian's packages are")
    with open(SOURCES, encoding="utf-8") as f:
        text = f.read().replace("bookworm", "trixie")
    listed, lists, cache, root = (
        os.path.join(folder, name) for name in ("debian.sources", "lists", "cache", "root")
    )
    for path in (os.path.join(lists, "partial"), cache):
        os.makedirs(path)
    with open(listed, "w", encoding="utf-8") as f:
        f.write(text)
    apt = ["apt-get", "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User=root"]
    apt += ["-o", f"Dir::Etc::sourcelist={listed}", "-o", f"Dir::State::lists={lists}"]
    apt += ["-o", f"Dir::Cache={cache}"]
    if run(*apt, "-q", "update").returncode:
        skip("Debian 13's package lists cannot be had")
    try:
        packages.unpack(PACKAGES, root, apt)
    except packages.Missing as e:
        skip(str(e))
    return root


def compile_against(root):
    """Every source of ours, with warnings as errors. Gives what the compiler said."""
    make = run("make", "-s", "-C", TOP, "print-syntax-check")
    include = os.path.join(root, "usr/include")
    command = [*shlex.split(make.stdout), "-I", include, "-I", include + "/x86_64-linux-gnu"]
    sources = [p for folder in ("spec", "reconciler") for p in
               glob.glob(f"{TOP}/{folder}/**/*.c", recursive=True)]  # fmt: skip
    needs = [p for p in sources if "openssl/" in read(p)]
    done = run(*command, *sorted(needs), cwd=TOP)
    return len(needs), done.stderr if done.returncode else ""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def main():
    build = os.path.abspath(sys.argv[1])
    if os.geteuid() != 0 or run("unshare", "-n", "-m", "true").returncode:
        skip("namespaces of our own take root")
    with tempfile.TemporaryDirectory(prefix="reconcert-debian13-") as folder:
        root = fetch(folder)
        count, said = compile_against(root)
        print(said or f"{count} sources compiled without a warning", flush=True)
        over = f"lowerdir={root}{LIBRARIES}:{LIBRARIES}"
        script = f"""set -e
            ip link set lo up
            mount -t overlay overlay -o {shlex.quote(over)} {LIBRARIES}
            exec {shlex.quote(sys.executable)} tests/support/run_tests.py \
              --build {shlex.quote(build)} {" ".join(TESTS)}"""
        openssl = root + "/usr/bin"
        environment = {**os.environ, "DEBIAN13_OPENSSL": openssl + "/openssl"}
        environment["PATH"] = openssl + ":" + os.environ["PATH"]
        tests = subprocess.run(["unshare", "-n", "-m", "sh", "-c", script], cwd=TOP, env=environment)
        return 1 if said or tests.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
