#pragma once

#include "reconciler/base/error.h"
#include "reconciler/core/desired.h"
#include "reconciler/core/render.h"
#include "reconciler/io/source.h"
#include "reconciler/settings/settings.h"
#include "spec/model.h"
#include "spec/problem.h"

struct spec_detail;

/*
 * From settings to a checked model: what `check`, `diff`, `explain` and the daemon's reload have in
 * common. Touches files (through io/source) and, for {vault://env/...}, the environment it is
 * given.
 */

/* One reading of the declarative files. Owned by the caller: load_free. */
struct loaded {
    struct arena *arena; /* model and whatever is derived from it; excluded from dumps, wiped */
    struct model *model; /* NULL when the file was refused */
    struct problems problems; /* errors and warnings, sorted; outlives the model */
    struct render_file *files;
    size_t file_count;
    enum desired_block block;   /* what is in the way of every name, beside what the model tells */
    char sha256[65];            /* of all files: the configuration's hash */
    struct spec_detail *detail; /* for kong_error.h and flatten.h of spec; NULL unless asked for */
};

struct load_options {
    const struct settings *settings;
    char *const *environment; /* for references and decK's variables; NULL = none is found */
    int64_t now;              /* that CA certificates must not have expired at */
    bool keep_detail;         /* of a refused file too */
    bool lint;                /* warn of what is valid and yet useless */
    bool hides_foreign;       /* quote nothing that does not parse of another user's file */
};

/* Reads the files named by the settings. -1 only if they cannot be read (ERROR_IO, ERROR_LIMIT). */
int load_sources(const struct settings *s, struct source_set **set, struct error *e) MUST_CHECK;

/*
 * Parses and checks `set`. 0 with *loaded set, whether the file is good (model set) or refused
 * (model NULL, problems filled); -1 with *e on memory. `set` may be freed afterwards. Safe on any
 * thread.
 */
int load_parse(const struct source_set *set, const struct load_options *options,
               struct loaded **loaded, struct error *e) MUST_CHECK;

/* Both steps. */
int load_files(const struct load_options *options, struct loaded **loaded,
               struct error *e) MUST_CHECK;
void load_free(struct loaded *loaded); /* NULL is fine */

/* "redis" etc. where this build cannot run with the file's storage; NULL where it can. */
const char *load_unsupported_storage(const struct model *model);
