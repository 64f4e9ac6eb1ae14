#pragma once

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"

struct ledger;

/*
 * Is what lies at the path still what was opened? Whoever removes, moves, cuts or replaces the
 * folder or the log under a running server leaves it with a file that no restart will find.
 */
struct presence {
    const char *path; /* prefix/storage */
    const char *name; /* of the log in it */
    int folder;
    const struct ledger *ledger;
    bool knows_header; /* it was sound: another one is another log */
};

/* 0, or -1 with *e (ERROR_STORAGE): what was seen, without the path. */
int presence_check(const struct presence *p, struct error *e) MUST_CHECK;
/* Does the open log still hold all that was written to it, wherever its name has gone? */
bool presence_is_whole(const struct presence *p);

/*
 * Appends a sentence where others than root and this process' user may put another folder in the
 * place of `prefix`, or write in it; nothing where they may not, or it cannot be looked at.
 */
void presence_print_open(const char *prefix, struct buf *out);
