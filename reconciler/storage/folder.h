#pragma once

#include <stdbool.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * Opening what lies under the prefix. Directories and files are made 0700 and 0600 whatever the
 * umask; symbolic links in place of ours are refused. All descriptors are close-on-exec and the
 * caller's. On failure errno says what open(2) would.
 */

/*
 * The directory itself, made with its parents when missing and `create`. -1 with *e.
 */
int folder_open(const char *path, bool create, struct error *e) MUST_CHECK;
/* One below `parent`, made durably when missing and `create`. */
int folder_open_below(int parent, const char *name, bool create, struct error *e) MUST_CHECK;
/* A regular file in `parent`: `flags` as open(2)'s. A created one has mode 0600. */
int folder_open_file(int parent, const char *name, int flags, struct error *e) MUST_CHECK;

/*
 * A file that is there whole or not at all: written as NAME.new, flushed, and put in the place of
 * NAME at the end. Root gives it to who owns the directory: who reads it is no root.
 */
struct folder_file {
    int parent, fd; /* the parent stays the caller's */
    const char *name;
    char beside[64];
};

int folder_file_begin(struct folder_file *f, int parent, const char *name,
                      struct error *e) MUST_CHECK;
int folder_file_write(struct folder_file *f, struct str bytes, struct error *e) MUST_CHECK;
/* Always, once it has begun. `rc` not 0: it was not written to its end, and is dropped; -1 then. */
int folder_file_end(struct folder_file *f, int rc, struct error *e) MUST_CHECK;
