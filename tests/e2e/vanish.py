"""What may happen to a prefix under a running server: used by test_storage.py and the soak."""

import os
import shutil


def _delete(prefix):
    while os.path.lexists(prefix):  # it may be written to meanwhile
        shutil.rmtree(prefix, ignore_errors=True)


def _move(prefix):
    number = len(os.listdir(os.path.dirname(prefix)))
    os.rename(prefix, f"{prefix}.moved{number}")


def _cut(prefix):
    log = os.path.join(prefix, "storage", "log")
    os.truncate(log, os.path.getsize(log) // 2)


def _replace(prefix):
    log = os.path.join(prefix, "storage", "log")
    os.rename(log, log + ".old")
    with open(log, "wb"):
        pass


def _unlock(prefix):
    os.unlink(os.path.join(prefix, "lock"))


WAYS = {"deleted": _delete, "moved": _move, "cut": _cut, "replaced": _replace, "unlocked": _unlock}
