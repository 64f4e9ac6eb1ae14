#pragma once

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "spec/catalog.h"

/*
 * What entities are to each other: their ids (UUID v5 by Kong's rules, RFC 9562 section 5.5),
 * uniqueness over all files, references by name and id.
 */

/* Makes ids; one digest context serves a whole load. */
struct resolve_ids;

/* NULL when memory is out or libcrypto has no SHA-1. */
struct resolve_ids *resolve_ids_new(void) MUST_CHECK;
void resolve_ids_free(struct resolve_ids *ids); /* NULL is fine */

/* The id of `name` among the entities of a kind, 36 characters and a NUL. */
void resolve_id(struct resolve_ids *ids, enum entity_kind kind, struct str name, char id[37]);

/*
 * Settles where the entity's id comes from: as given, else from its name or key fields, else one of
 * our own that only depends on the file (Kong draws those at random). `v` is the entity's open
 * view.
 */
void resolve_set_id(struct catalog *c, const struct schema_view *v, struct catalog_ref ref);

/*
 * The entity's id, a lower-case UUID. One that a name or a place makes is made when it is first
 * asked for, since most loads never ask. "" where there is none, or when memory is out.
 */
const char *resolve_id_of(const struct catalog *c, struct catalog_ref ref);

/*
 * Uniqueness, then references. What is wrong is in the problems; -1 when memory is out.
 * `has_errors`: something else is wrong already, which changes some of Kong's words.
 */
int resolve_all(struct catalog *c, bool has_errors, struct error *e) MUST_CHECK;
