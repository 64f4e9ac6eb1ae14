#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/str.h"
#include "spec/model.h"

/* Problems that are kept and printed; what comes after them is only counted. */
#define PROBLEMS_MAX 1000
/* Errors after which the rest of a file is not looked at: it was not written by a person. */
#define PROBLEMS_COUNTED_MAX 100000

/* A note says what nobody needs to mend. */
enum problem_severity { PROBLEM_ERROR, PROBLEM_WARNING, PROBLEM_NOTE };

/* One thing that is wrong with the file. */
struct problem {
    enum problem_severity severity;
    struct place place;
    struct str path;    /* services[1].routes[2].paths[1]; "" for the whole document */
    struct str message; /* Kong's text where Kong has one; text of the file in it is escaped when
                           printed */

    /* For the flattened form; see kong_error.h. */
    uint32_t entity;  /* number of the entity + 1; 0: it belongs to none */
    bool is_masked;   /* `kong` has a secret in it, `message` stars */
    bool has_ids;     /* Kong had made the ids when it found this */
    struct str field; /* path inside the entity, Kong's way: config.domains.3; "" = all of it */
    struct str kong;  /* Kong's own text where `message` says more; ptr NULL: the same */
};

struct mask_values;

struct problem_file {
    const char *name; /* a copy */
    bool hides_text;  /* of what does not parse in it only place and kind are told */
};

/*
 * All problems of one load. Fill with problems_add, then problems_sort. Owned by the caller:
 * problems_init, problems_fini. Strings live in its own arena, so that it outlives a model.
 */
struct problems {
    struct arena *arena;
    struct problem *items;
    size_t count, cap;
    size_t truncated;   /* more than PROBLEMS_MAX */
    size_t error_count; /* errors, truncated ones too */
    size_t warning_count, note_count;
    struct problem_file *files;
    size_t file_count;
};

int problems_init(struct problems *p) MUST_CHECK; /* -1: memory */
void problems_fini(struct problems *p);
/* Names the file with index p->file_count; -1 when memory is out. */
int problems_add_file(struct problems *p, const char *name, bool hides_text) MUST_CHECK;
void problems_add(struct problems *p, enum problem_severity severity, struct place place,
                  struct str path, const char *format, ...) PRINTF_LIKE(5, 6);
/* The same for one that is filled in already; its strings are copied. */
void problems_put(struct problems *p, const struct problem *problem);
/* No more are kept: who is about to write one down can leave it at problems_count. */
static inline bool problems_are_full(const struct problems *p)
{
    return p->count == PROBLEMS_MAX;
}
void problems_count(struct problems *p, enum problem_severity severity, size_t count);
/* Nothing more needs to be looked for. */
static inline bool problems_are_enough(const struct problems *p)
{
    return p->error_count >= PROBLEMS_COUNTED_MAX;
}
/* `line 8`, or `b.yaml, line 8` where that is not the file that `here` stands in. */
void problems_print_line(const struct problems *p, struct place here, struct place there,
                         struct buf *out);
/* Puts stars in the place of these values, wherever a problem quotes one; `kong` stays as it is. */
void problems_mask(struct problems *p, const struct mask_values *values);
/* By file, line, column, path, message: one total order. Equal ones become one. */
void problems_sort(struct problems *p);

/* `kong.yaml:14:9: certificates[1].snis[2].name: must not be an IP`, a line each; "and N more"
 * last. */
void problems_print_text(const struct problems *p, struct buf *out);
/* An array of {"severity","file","line","column","path","message"}; line and column null without
 * place. */
void problems_print_json(const struct problems *p, struct json_out *out);
