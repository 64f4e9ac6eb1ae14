#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/base/subject.h"
#include "reconciler/snapshot/segment.h"

/*
 * What is served: for each name the managed credential and the declared ones, and which of them is
 * in effect: managed over declared. Whoever is usable is control's to say: an expired or revoked
 * managed credential is taken out with index_set_managed(..., NULL). It collects the names whose
 * effective credential changed until they are taken for a segment. One thread owns an index.
 */
struct index;
struct credential;

/* What the file declares for a name: "*.x", "x.*", "*" and "" (the default certificate) too. */
struct index_declared {
    struct str name;              /* lower case; copied */
    struct credential *primary;   /* never NULL; referenced by the index */
    struct credential *alternate; /* of the other key type; or NULL */
};

struct index *index_new(void) MUST_CHECK; /* NULL: out of memory */
void index_free(struct index *x);         /* NULL is fine */

/*
 * Sets (referenced) or, with NULL, takes out the managed credential of a subject. Beside a name's
 * first one a further one is served while its key is of another family. -1 with *e: unchanged.
 */
int index_set_managed(struct index *x, struct subject subject, struct credential *credential,
                      struct error *e) MUST_CHECK;
/* Whether workers tell who visits it; nothing where nothing is served under it. -1 with *e. */
int index_set_on_demand(struct index *x, struct str name, bool is_on_demand,
                        struct error *e) MUST_CHECK;
/*
 * The whole declared set of a new generation, each name once. Only names whose entry differs (by
 * pointer: declared.h interns them) become changes. -1 with *e: unchanged.
 */
int index_replace_declared(struct index *x, const struct index_declared *names, size_t count,
                           struct error *e) MUST_CHECK;

/* Is a managed credential in effect where a declared one was declared? */
bool index_overrides(const struct index *x, struct str name);

/*
 * The changes of one segment. The bytes live as long as it does, whatever the index does meanwhile,
 * so that another thread may write the segment; the object itself stays with the index' thread and
 * is freed before the index.
 */
struct index_changes {
    struct segment_name *names; /* tombstones for names that vanished */
    size_t count;
    /* private */
    struct index *index;
    struct credential **held;
    size_t held_count;
    char *texts;
};

/*
 * At most `max` of the waiting changes (0 = all); *changes NULL when there are none. -1 with *e:
 * they wait on.
 */
int index_take_changes(struct index *x, size_t max, struct index_changes **changes,
                       struct error *e) MUST_CHECK;
/* The segment could not be written: these names are changes again. -1: out of memory. */
int index_give_back(struct index *x, const struct index_changes *changes) MUST_CHECK;
void index_changes_free(struct index_changes *c); /* NULL is fine */

/*
 * The segment now holds the bytes of its names: credentials in effect that equal what is in it let
 * their own copy go and point into its mapping. Call it for every segment that enters the stack.
 * While changes are out it is put off until they are freed.
 */
void index_rebind(struct index *x, struct segment *segment);
