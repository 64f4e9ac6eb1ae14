#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/subject.h"
#include "reconciler/control/condition.h"
#include "reconciler/control/pass.h"
#include "reconciler/admin/status.h"

/* What the status pages say (design 6). Reads only. */

#define PAGES_FORMAT 1

struct pages {
    const struct pass *pass;
    const struct configuration *const *generation; /* the current one; *generation NULL: none yet */
    struct loaded *const *refused; /* the newest file, if it was refused; else NULL */
    const struct conditions *conditions;
    const struct counters *const *counters; /* one a worker slot */
    size_t worker_count;
    size_t current_workers; /* that serve the newest generation */
    uint64_t generation_number;
};

/* Appends one of Kong's pages; returns its HTTP status. */
unsigned pages_print(const struct pages *p, enum status_page page, struct buf *out);

#define PAGES_PIECE ((size_t)32 << 10) /* bytes of names behind which a piece ends */
#define PAGES_PIECE_NAMES 1024         /* names that are looked at for one piece */

/* How far a page that lists every name has been printed: names may come and go between pieces. */
struct pages_cursor {
    enum status_page page;
    struct json_out json;
    bool is_begun;
    char last[SUBJECT_NAME_MAX]; /* the last name that was looked at */
    size_t last_len;             /* 0 = none yet */
    enum key_family last_family;
};

void pages_begin(struct pages_cursor *cursor, enum status_page page);
/* Appends a piece; false: it was the last. */
bool pages_more(const struct pages *p, struct pages_cursor *cursor, int64_t now, struct buf *out);
/* The same for STATUS_PAGE_RETRY: `name`, or all that failed where it is empty, as in
 * /certificates. */
unsigned pages_print_failed(const struct pages *p, struct str name, int64_t now, struct buf *out);
