#pragma once

#include "spec/catalog.h"

/*
 * Files that were written for another reader than Kong 3.9: decK's form, and what later releases
 * and Kong Enterprise know. Their trees are made over into what Kong 3.9 would be given.
 */

/*
 * As the context's options ask: decK's own keys and {name: ...} references are read as decK means
 * them, over all sources (options->deck_format); what newer.h has is left out, with a warning each
 * at its place (options->ignore_unsupported). Trees are shared where nothing changes. -1: memory.
 */
int dialect_translate(const struct schema_context *s, struct catalog_source *sources, size_t count,
                      struct problems *problems, struct error *e) MUST_CHECK;
