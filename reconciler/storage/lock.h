#ifndef STORAGE_LOCK_H
#define STORAGE_LOCK_H

#include "reconciler/base/error.h"

/*
 * One writer per prefix: flock(2) on prefix/lock, which holds the owner's pid as text. The prefix
 * is created (0700) when missing. Returns a descriptor (close-on-exec, the caller's: close it, or
 * die, and the lock is free) or -1 with *e: ERROR_IN_USE with the pid in the text, ERROR_STORAGE.
 */
int lock_take(const char *prefix, struct error *e) MUST_CHECK;

#endif
