"""What lies in the memory of a running process: the bytes of private keys, looked for."""

import base64
import re

KEPT_BYTES = 32  # of a needle: nothing else is that long and the same
LINE_BYTES = 48  # that one line of PEM stands for
RSA_OFFSETS = (400, 620, 760)  # in a PKCS#8 key of 2048 bits: within d, p and q
RSA_SECRET_AT = 304  # what stands before, the modulus, is in the certificate too


def needles_of(pem):
    """What gives a private key away, by what it is: PEM lines, the secret numbers either way round."""
    lines = [line for line in pem.split("\n") if line and "-----" not in line]
    der = base64.b64decode("".join(lines))
    scalar = der.find(b"\x02\x01\x01\x04\x20")
    offsets = [scalar + 5] if scalar > 0 else RSA_OFFSETS
    begin, end = (scalar + 5, scalar + 37) if scalar > 0 else (RSA_SECRET_AT, len(der))
    found = {}
    for i, line in enumerate(lines):
        secret = min(end, (i + 1) * LINE_BYTES) - max(begin, i * LINE_BYTES)
        if len(line) >= KEPT_BYTES and secret >= LINE_BYTES / 3:
            found[f"line {i + 1}"] = line.encode()
    for at in offsets:
        found[f"number at {at}"] = der[at : at + KEPT_BYTES]
        found[f"number at {at}, reversed"] = der[at : at + KEPT_BYTES][::-1]
    return found


def _mappings(pid):
    """Begin, end and name of what may hold data: all that is writable, and the segments."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        for line in f:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
            begin, end, access, name = match.groups()
            if access[0] == "r" and ("w" in access or "memfd:" in name) and not name.startswith("[v"):
                yield int(begin, 16), int(end, 16), name


def find(pid, needles):
    """Which of the needles (name -> bytes) lie in the process, as "name in mapping"."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for begin, end, name in list(_mappings(pid)):
            try:
                memory.seek(begin)
                content = memory.read(end - begin)
            except (OSError, ValueError):
                continue  # unmapped meanwhile
            found.update(f"{n} in {name or 'memory'}" for n, bytes_ in needles.items() if bytes_ in content)
    return sorted(found)
