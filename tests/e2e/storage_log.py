"""The records of a prefix's log, read and written while no server has it (storage/append_log.h)."""

import os
import zlib

PUT, DELETE, UNKNOWN_KIND, COMMIT = 1, 2, 77, 1
HEADER_COPY, VERSION_AT, MARKER_AT, SUM_AT = 24, 8, 12, 20
HEAD = 24


def record(log, kind, key, payload=b""):
    """A sound record of this log, of any kind."""
    body = key + payload
    head = log[MARKER_AT:SUM_AT] + len(body).to_bytes(4, "little") + len(key).to_bytes(2, "little")
    head += bytes([kind, COMMIT]) + zlib.crc32(body).to_bytes(4, "little")
    return head + zlib.crc32(head).to_bytes(4, "little") + body


def live(log):
    """What is there in the end: payloads by key."""
    found, at = {}, 2 * HEADER_COPY
    while at < len(log):
        size = int.from_bytes(log[at + 8 : at + 12], "little")
        key_end = at + HEAD + int.from_bytes(log[at + 12 : at + 14], "little")
        key = log[at + HEAD : key_end]
        if log[at + 14] == PUT:
            found[key] = log[key_end : at + HEAD + size]
        elif log[at + 14] == DELETE:
            found.pop(key, None)
        at += HEAD + size
    return found


def change(prefix, to):
    """`to` makes another log of the one that is there."""
    path = os.path.join(prefix, "storage", "log")
    with open(path, "rb") as f:
        log = f.read()
    with open(path, "wb") as f:
        f.write(to(log))


def read(prefix):
    with open(os.path.join(prefix, "storage", "log"), "rb") as f:
        return live(f.read())
