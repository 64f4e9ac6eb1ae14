#ifndef SPEC_PROBLEM_H
#define SPEC_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"
#include "spec/model.h"

/* Problems that are kept and printed; what comes after them is only counted. */
#define PROBLEMS_MAX 1000

enum problem_severity { PROBLEM_ERROR, PROBLEM_WARNING };

/* One thing that is wrong with the file. */
struct problem {
    enum problem_severity severity;
    struct place place;
    struct str path;    /* services[1].routes[2].paths[1]; "" for the whole document */
    struct str message; /* Kong's text where Kong has one; text of the file in it is escaped when printed */
};

/*
 * All problems of one load. Fill with problems_add, then problems_sort. Owned by the caller:
 * problems_init, problems_fini. Strings live in its own arena, so that it outlives a model.
 */
struct problems {
    struct arena *arena;
    struct problem *items;
    size_t count, cap;
    size_t truncated;     /* more than PROBLEMS_MAX */
    size_t error_count;   /* errors, truncated ones too */
    size_t warning_count;
    const char **files;   /* copies of the names */
    size_t file_count;
};

int problems_init(struct problems *p) MUST_CHECK; /* -1: memory */
void problems_fini(struct problems *p);
void problems_add(struct problems *p, enum problem_severity severity, struct place place,
                  struct str path, const char *format, ...) PRINTF_LIKE(5, 6);
/* By file, line, column, path, message: one total order. */
void problems_sort(struct problems *p);

/* `kong.yaml:14:9: certificates[1].snis[2].name: must not be an IP`, a line each; "and N more" last. */
void problems_print_text(const struct problems *p, struct buf *out);

#endif
