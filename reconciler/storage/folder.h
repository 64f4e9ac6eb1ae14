#pragma once

#include <stdbool.h>

#include "reconciler/base/error.h"

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
