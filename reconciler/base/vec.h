#pragma once

#include <stddef.h>

#include "attr.h"

/*
 * A growing array on the heap: `struct vec(int) numbers = {0};`. The fields are for reading;
 * vec_push makes room and appends. Element pointers move when it grows.
 */
#define vec(type)    \
    {                \
        type *items; \
        size_t len;  \
        size_t cap;  \
    }

/* Room for one more item; 0, or -1 when memory is out (v unchanged). */
#define vec_reserve(v) \
    ((v)->len < (v)->cap ? 0 : vec_grow((void **)&(v)->items, &(v)->cap, sizeof(*(v)->items)))

/* Appends; 0, or -1 when memory is out (v unchanged). */
#define vec_push(v, item) (vec_reserve(v) ? -1 : ((v)->items[(v)->len++] = (item), 0))

/* Frees the array, not what its items own. */
#define vec_free(v) (free((v)->items), (v)->items = NULL, (v)->len = 0, (v)->cap = 0)

int vec_grow(void **items, size_t *cap, size_t item_size) MUST_CHECK;
