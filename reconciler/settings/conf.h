#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

/*
 * kong.conf's syntax: `name = value`, comments from # (or ; at a line's start) on, \# for a literal
 * #, a \ at the end joins lines. Quotes have no meaning, as in Kong.
 */
#define CONF_BYTES_MAX ((size_t)1 << 20)
#define CONF_ITEMS_MAX 4096

struct conf_item {
    struct str name, value;
    uint32_t line; /* where it begins, 1-based */
};

/* Zero it first. */
struct conf {
    struct conf_item *items;
    size_t len;
    size_t cap;
};

/* The file's bytes into the arena; 0, or -1 with *e (ERROR_USAGE, file set). */
int conf_read(const char *path, struct arena *a, struct str *text, struct error *e) MUST_CHECK;
/*
 * All items in order; their views point into `text` or the arena. 0, or -1 with *e (ERROR_USAGE or
 * ERROR_LIMIT, line set) and an empty conf.
 */
int conf_parse(struct str text, struct arena *a, struct conf *conf, struct error *e) MUST_CHECK;
void conf_free(struct conf *conf); /* the list, not its texts */
