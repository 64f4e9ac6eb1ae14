#pragma once

#include <stdint.h>

/*
 * The one order in which certificates are ordered, wherever several of them wait: in plans, in the
 * queue, in batches, for keys, for requests.
 */
enum urgency_kind {
    URGENCY_RENEWAL,  /* one is served: the nearest to its end first */
    URGENCY_DECLARED, /* a first one that the file asks for */
    URGENCY_DEMANDED, /* one that visitors ask for */
    URGENCY_KINDS
};

struct urgency {
    enum urgency_kind kind;
    int64_t not_after; /* of the renewed one; else 0 */
};

/* Negative: `a` goes first. */
static inline int urgency_compare(const struct urgency *a, const struct urgency *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->not_after < b->not_after ? -1 : a->not_after > b->not_after;
}
