#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/counters.h"
#include "reconciler/control/condition.h"
#include "reconciler/control/pass.h"
#include "reconciler/admin/status.h"

/* What the status pages say (design 6). Reads only. */

#define PAGES_FORMAT 1

struct pages {
    const struct pass *pass;
    const struct configuration *const *generation; /* the current one; *generation NULL: none yet */
    struct loaded *const *refused;              /* the newest file, if it was refused; else NULL */
    const struct conditions *conditions;
    const struct counters *const *counters; /* one a worker slot */
    size_t worker_count;
    size_t current_workers; /* that serve the newest generation */
    uint64_t generation_number;
};

/* Appends the page; returns its HTTP status. */
unsigned pages_print(const struct pages *p, enum status_page page, int64_t now, struct buf *out);
/* The same for STATUS_PAGE_RETRY: `name`, or all that failed where it is empty, as in
 * /certificates. */
unsigned pages_print_failed(const struct pages *p, struct str name, int64_t now, struct buf *out);
