#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/json_out.h"
#include "reconciler/base/vec.h"
#include "spec/model.h"

/* The links of explain's causal chain while they are put together: a topic, a sentence, its places.
 */

#define EXPLANATION_LINKS_MAX 24
#define EXPLANATION_TEXT_MAX ((size_t)256 << 10)

struct explanation_link {
    const char *topic; /* "declared", "gate", "served" ... */
    struct buf text;   /* as it came: escaped when printed */
    struct vec(struct place) places;
};

struct explanation {
    const struct model *model;
    struct explanation_link links[EXPLANATION_LINKS_MAX];
    size_t count;
    bool failed; /* memory ran out, or a text grew too long */
};

void explanation_fini(struct explanation *x);

/* Begins a link; what is written to the result is its sentence. Valid until the next begin. */
struct buf *explanation_begin(struct explanation *x, const char *topic);

/* Adds a place to the last link. */
void explanation_add_place(struct explanation *x, struct place place);

/* Writes the places that were added since `from` into the sentence: " (kong.yaml:1:2, ... and 7
 * more)". */
void explanation_write_places(struct explanation *x, size_t from);

/* One place, added and written. */
void explanation_at(struct explanation *x, struct place place);

/* The finished chain; false if something failed on the way, nothing is printed then. */
bool explanation_print_text(const struct explanation *x, struct buf *out);
bool explanation_print_json(const struct explanation *x, struct json_out *j);
