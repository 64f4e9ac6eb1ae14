#pragma once

#include "reconciler/base/error.h"

/*
 * One writer per prefix: flock(2) on the folder itself and on the file `lock` in it, which holds
 * the owner's pid as text. With both, a lock file that was removed lets nobody in, and a folder
 * that was moved away is seen to be another. Where folders cannot be locked (NFS), the file is
 * alone.
 */
struct lock {
    int folder, file; /* -1: none. Close-on-exec: when their process dies the lock is free */
};
#define LOCK_NONE ((struct lock){-1, -1})

/*
 * Takes it; the prefix is created (0700) when missing. One that is held already is renewed where
 * it no longer is what lies at the path, and is as it was on failure. 0, or -1 with *e:
 * ERROR_IN_USE with the pid in the text, ERROR_STORAGE.
 */
int lock_take(struct lock *lock, const char *prefix, struct error *e) MUST_CHECK;
void lock_drop(struct lock *lock); /* LOCK_NONE is fine */
/* Does the path still lead to what is locked? 0, or -1 with *e (ERROR_STORAGE). */
int lock_check(const struct lock *lock, const char *prefix, struct error *e) MUST_CHECK;
