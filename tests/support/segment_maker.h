#pragma once

#include "reconciler/base/key_type.h"
#include "reconciler/snapshot/segment.h"
#include "reconciler/serve/view.h"

/* Real credentials, segments and views for tests. Ends the program where it cannot. */
struct segment_maker;

/* Its CA has the common name `issuer` and stands under a root, so that chains have one entry. */
struct segment_maker *segment_maker_new(const char *issuer);
void segment_maker_free(struct segment_maker *m);

/* A new credential for a name, its bytes the maker's. CN and SAN are `name`. */
struct segment_credential segment_maker_credential(struct segment_maker *m, const char *name,
                                                   enum key_type type);
/* `served_as` is what it is looked up by: a name, "*.x", "x.*", "*" or "". */
struct segment_name segment_maker_name(struct segment_maker *m, const char *served_as,
                                       const char *name, enum key_type type);

/* Writes, and maps, a segment of each kind; the caller's reference. */
struct segment *segment_maker_names(const struct segment_name *names, size_t count);
struct segment *segment_maker_challenges(const struct segment_challenge *challenges, size_t count);
struct segment *segment_maker_gate(const struct segment_gate *gate);
struct segment *segment_maker_routes(const struct segment_routes *routes);

/* A view of segments, newest first; takes the references. */
struct view *segment_maker_view(uint64_t generation, struct segment **segments, size_t count);
