#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/attr.h"

/*
 * All names in order, put in order when somebody asks: a sorted array, behind it what came since. A
 * name that went stays allocated until the array has been put in order without it.
 */
struct store_name;

struct roster {
    struct store_name **items;
    size_t len;
    size_t cap;
    size_t sorted;         /* so many of them are in order */
    size_t gone;           /* so many are to be left out */
    bool is_tail_in_order; /* what came since came in order, and behind what was there */
    void (*free_name)(struct store_name *n); /* for those that went */
};

void roster_free(struct roster *r); /* and every name in it */
/* -1: out of memory. */
int roster_add(struct roster *r, struct store_name *n) MUST_CHECK;
/* The roster owns the name from here on. */
void roster_remove(struct roster *r, struct store_name *n);
/* -1: out of memory; nothing changed. */
int roster_sort(struct roster *r) MUST_CHECK;
