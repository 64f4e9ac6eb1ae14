#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "spec/model.h"
#include "spec/problem.h"

/* The face of spec: bytes in, model or problems out. Pure: no files, no clock, no environment. */

enum spec_syntax { SPEC_BY_NAME, SPEC_EITHER, SPEC_YAML, SPEC_JSON };

/*
 * One document. `name` is what problems print ("kong.yaml", "-"); SPEC_BY_NAME looks at its ending:
 * JSON where that is `json`, else YAML. SPEC_EITHER takes JSON, and YAML where it is none: so do "" and "-" by name.
 */
struct spec_source {
    const char *name;
    struct str bytes;
    enum spec_syntax syntax;
    bool hides_text; /* see problem.h */
};

/*
 * What the outside lends to a pure parser. Each may be NULL: then that check is left out
 * (certificates) or nothing is found (environment).
 */
struct spec_outside {
    void *context;
    /* The value of environment variable `name`, ptr NULL if unset. Valid while spec_load runs. */
    struct str (*environment)(void *context, struct str name);
    /*
     * Looks at PEM texts of a certificate entity. 0 if all is well. Otherwise -1 with the field
     * ("cert", "key", "cert_alt", "key_alt", or "" for the entity) in *field and Kong's sentence in
     * *e: "invalid certificate: ...", "invalid key: ...", "certificate does not match key" ...
     * Strings that are not set have ptr NULL. *valid: when the certificate is; may be NULL.
     */
    int (*check_certificate)(void *context, struct str cert, struct str key, struct validity *valid,
                             const char **field, struct error *e);
    /* Same for a key of `keys` (PEM private and/or public; ptr NULL if not set). */
    int (*check_key)(void *context, struct str private_key, struct str public_key,
                     const char **field, struct error *e);
    /* Key algorithm of a PEM certificate ("RSA", "EC"), for the cert_alt rule; NULL if unreadable.
     */
    const char *(*certificate_algorithm)(void *context, struct str cert);
    /* Is a PEM certificate one of a CA and not expired? Else -1 and Kong's sentence in *e. */
    int (*check_ca_certificate)(void *context, struct str cert, struct error *e);
    /* What keeps this plugin from issuing: -1 with its place, field (e->path) and a sentence. */
    int (*check_acme)(void *context, const struct acme *acme, struct place *place, struct error *e);
};

struct spec_options {
    size_t max_bytes;            /* of all documents; 0 = SPEC_DEFAULT_MAX_BYTES */
    bool deck_env;               /* replace ${{ env "DECK_X" }} */
    bool deck_format;            /* read decK's own shapes as decK means them; see dialect.h */
    bool ignore_unsupported;     /* leave out what only other Kongs know, with a warning each */
    bool vault_references;       /* resolve {vault://env/...}; false keeps them as unresolved */
    struct str vault_env_prefix; /* in front of the variables that {vault://env/...} names */
    bool lint;                   /* warn of what is valid and yet useless; lint.h has the list */
    const struct str *plugins;   /* names known beside Kong's bundled ones */
    size_t plugin_count;
    struct spec_outside outside;
};

#define SPEC_DEFAULT_MAX_BYTES ((size_t)512 << 20)

/*
 * Reading takes at most so much memory: for each byte of the documents, and beside that, which is
 * what aliases within their limits may come to. Services and routes take 8 to 13 a byte. A
 * document that needs more is refused with ERROR_LIMIT.
 */
#define SPEC_MEMORY_PER_BYTE ((size_t)24)
#define SPEC_MEMORY_BESIDE ((size_t)256 << 20)
/* Of those for each byte: the byte itself, and a text while libyaml or json.c makes it longer. */
#define SPEC_MEMORY_TEXTS ((size_t)4)

/*
 * Reads the sources as one configuration. On success 0, *model set, all of it in `arena`;
 * `problems` may hold warnings. -1 when the file is refused: problems->error_count > 0. -1 with
 * e->kind ERROR_MEMORY when memory ran out (problems then are not complete). Source bytes need to
 * live only during the call; the arena is the caller's to free either way.
 */
int spec_load(const struct spec_source *sources, size_t count, const struct spec_options *options,
              struct arena *arena, struct model **model, struct problems *problems,
              struct error *e) MUST_CHECK;

/* What a load leaves behind beside its model, for flatten.h and kong_error.h; see there. */
struct spec_detail;

struct spec_detail *spec_detail_new(void) MUST_CHECK; /* NULL: memory */
void spec_detail_free(struct spec_detail *detail);    /* NULL is fine */
/*
 * spec_load that keeps `detail`, of a refused configuration too. It looks into the arena, which
 * must live as long.
 */
int spec_load_detail(const struct spec_source *sources, size_t count,
                     const struct spec_options *options, struct arena *arena, struct model **model,
                     struct problems *problems, struct spec_detail *detail,
                     struct error *e) MUST_CHECK;
