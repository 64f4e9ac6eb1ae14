#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/json_out.h"
#include "reconciler/core/plan.h"

/* A plan as text for people and as JSON for programs (design 6). Pure: the same inputs, the same
 * bytes. */

/* Bytes of a comment: GitHub takes 65,536 characters. */
#define RENDER_COMMENT_MAX 60000

struct render_file {
    const char *name;
    const char *sha256; /* lower-case hex */
};

struct render_options {
    const struct model *model;     /* names the files of places */
    const struct desired *desired; /* directory, key type */
    const struct render_file *files;
    size_t file_count;
    const char *sha256; /* of the whole configuration */
    struct str against; /* what the file is compared with: "storage", "old.yaml", "http://..." */
    int64_t now;
    int64_t made_at;  /* JSON: 0, or the member "made_at" of a plan that is saved (saved.h) */
    const char *hash; /* NULL, or that of a plan that is saved: JSON has it beside made_at */
    bool colour;      /* text: ANSI colours */
    bool verbose;     /* text: kept names too, not only their number */
    /*
     * NULL, or called now and then with what is in the buffer so far, to write and clear it: a plan
     * of a million names then needs no buffer of that size. -1 stops the rendering.
     */
    int (*flush)(void *context, struct buf *out);
    void *context;
};

/* The object of a configuration: its files, and the hash of all. */
void render_config_json(const struct render_file *files, size_t count, const char *sha256,
                        struct json_out *j);

/* 0; -1 when the buffer is full (out->failed) or flush said so. */
int render_plan_text(const struct plan *plan, const struct render_options *options,
                     struct buf *out) MUST_CHECK;
int render_plan_json(const struct plan *plan, const struct render_options *options,
                     struct buf *out) MUST_CHECK;

/* For a comment on a pull request: a table, cut short where such comments end (RENDER_COMMENT_MAX).
 */
int render_plan_markdown(const struct plan *plan, const struct render_options *options,
                         struct buf *out) MUST_CHECK;

/*
 * One entry of /certificates and `status --format json`: name, state, issuer, not_before,
 * not_after, fingerprint, declared_at, next, last_error, ca, key_type, failures.
 */
void render_certificate_json(const struct action *a, const struct render_options *options,
                             struct json_out *j);

/* "kong.yaml:12:9", as it is; and with the file's name escaped. */
void render_place_raw(const struct model *model, struct place place, struct buf *out);
void render_place(const struct model *model, struct place place, struct buf *out);
/* "kong.yaml:12:9, kong.yaml:14:9 and 2 more", as they are. */
void render_places_raw(const struct model *model, const struct place *places, size_t count,
                       struct buf *out);

/* Text from outside on a line for people: as buf_escaped, but quotes stay as they are. */
void render_outside(struct str text, struct buf *out);
