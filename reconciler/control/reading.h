#pragma once

#include "reconciler/base/error.h"
#include "spec/document.h"
#include "spec/names.h"
#include "spec/problem.h"

/*
 * JSON that a server or a file gave us, read member by member. A member that is absent or of
 * another type reads as nothing: STR_NONE, 0, no items.
 */
struct reading {
    struct arena *arena; /* strings live here */
    struct names names;
    struct problems problems;
    struct document_node root; /* a map */
};

/* 0, or -1 with *e: ERROR_MEMORY, or ERROR_PROTOCOL if it is not one JSON object. Close it either
 * way. */
int reading_open(struct reading *r, struct str json, struct error *e) MUST_CHECK;
void reading_close(struct reading *r);

const struct document_node *reading_get(const struct reading *r, const struct document_node *of,
                                        const char *name);
struct str reading_text(const struct reading *r, const struct document_node *of, const char *name);
int64_t reading_number(const struct reading *r, const struct document_node *of, const char *name);
/* RFC 3339 text as unix seconds. */
int64_t reading_time(const struct reading *r, const struct document_node *of, const char *name);
const struct document_node *reading_list(const struct reading *r, const struct document_node *of,
                                         const char *name, size_t *count);
