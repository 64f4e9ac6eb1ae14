#pragma once

#include <stddef.h>
#include <stdint.h>

#include "reconciler/admin/status.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/counters.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/subject.h"

struct desired;
struct desired_name;
struct store;

/* What the status pages say (design 6). Reads only. */

#define PAGES_FORMAT 1

/* What is true as a page, or a piece of one, is printed. All of it stays its owner's. */
struct pages {
    const struct desired *desired; /* what the configuration in force asks for; NULL: there is none
                                      yet */
    bool is_empty;                 /* nothing stands in its files */
    const char *hash;              /* Kong's configuration_hash; "": not known */
    struct store *store;
    bool may_wait_to_retire;                /* retirements need approval */
    const struct counters *const *counters; /* one a worker slot */
    size_t worker_count;
    size_t current_workers; /* that serve the newest generation */
    uint64_t generation_number;
    size_t demands_waiting;
    uint64_t demands_dropped; /* by control; the workers' counters tell of theirs */

    void *context;
    /* What is desired of a name, on demand too; NULL: nothing. `room` is used for on-demand ones. */
    const struct desired_name *(*find_desired)(void *context, struct subject subject, int64_t now,
                                               struct desired_name *room);
    /* The members "config", "problems" and "conditions". */
    void (*print_front)(void *context, struct json_out *j);
    /* A name's object; nothing where there is nothing to tell of it. */
    void (*print_name)(void *context, struct subject subject, const struct desired_name *desired,
                       int64_t now, struct json_out *j);
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
