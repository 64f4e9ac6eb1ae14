#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

#define SOURCE_FILES_MAX 10000
#define SOURCE_DEPTH_MAX 16 /* folders within folders */

/* One file as it was read; its bytes are wiped when freed, for they may hold keys. */
struct source_file {
    char *name; /* as given, or folder/name; "-" for stdin, "declarative_config_string" for the
                   setting */
    char *data; /* NUL-terminated behind len */
    size_t len;
    size_t mapped;      /* private */
    int64_t changed_ms; /* st_mtim in unix ms; 0 = it is no file */
    bool is_foreign;    /* its owner is neither our user nor root */
    char sha256[65];
};

struct source_set {
    struct source_file *files; /* in the order given; those of a folder sorted by name */
    size_t count;
    int64_t changed_ms; /* of the file that was changed last */
    char sha256[65];    /* of the contents in their order; of one file, the file's own */
};

struct source_options {
    char *const *paths; /* files, folders (walked for *.yaml *.yml *.json), "-" */
    size_t path_count;
    const char *text;   /* declarative_config_string: used when there are no paths; NULL = none */
    uint64_t max_bytes; /* of all; more is refused from the size alone */
};

/*
 * Reads everything, whole files only: fstat before and after the read must agree, else it is read
 * again, a few times. 0; -1 with *e (kind ERROR_IO or ERROR_LIMIT, file set).
 */
int source_read(const struct source_options *options, struct source_set **set,
                struct error *e) MUST_CHECK;
/* A set out of texts that are there already; at most SOURCE_TEXTS_MAX. */
#define SOURCE_TEXTS_MAX 1024

struct source_text {
    struct str name, data;
};

int source_copy(const struct source_text *texts, size_t count, struct source_set **set,
                struct error *e) MUST_CHECK;
/* MD5 over all contents, Kong's configuration_hash; -1 on memory. */
int source_md5(const struct source_set *set, char out[33]) MUST_CHECK;
void source_free(struct source_set *set); /* NULL is fine */
