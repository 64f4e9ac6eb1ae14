#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "reconciler/base/error.h"
#include "reconciler/issue/authority.h"

struct httpc_done;

/*
 * The CA and account in use, and those before it that still have orders to finish. Private to
 * issuance.c and step.c.
 */
struct authority_use {
    LIST_ENTRY(authority_use) link;
    struct authority *authority;
    uint64_t number;
    size_t tasks; /* that hold it */
};

struct authorities {
    LIST_HEAD(, authority_use) list;
    struct authority_use *current; /* NULL: nothing is begun */
    uint64_t next_number;
};

/* Cookies of their requests are below this. */
#define AUTHORITIES_COOKIES ((uint64_t)1 << 40)

/* Makes `options` (NULL = none) the current one; the one before goes when its tasks have. */
int authorities_use(struct authorities *a, const struct authority_options *options,
                    struct error *e) MUST_CHECK;
struct authority_use *authorities_hold(struct authorities *a); /* the current one, for a task */
void authorities_release(struct authorities *a, struct authority_use *use); /* NULL is fine */
void authorities_run(struct authorities *a, int64_t now_ms, int64_t *wake_ms);
void authorities_reply(struct authorities *a, const struct httpc_done *done, int64_t now_ms);
void authorities_free(struct authorities *a); /* whoever holds one */
