#pragma once

#include "reconciler/base/attr.h"
#include "reconciler/base/map.h"
#include "reconciler/base/str.h"

/* Texts that a million names have in common: directories, issuers. Held once, counted. */
struct phrase_pool {
    struct map phrases;
};

void phrase_pool_init(struct phrase_pool *p);
/* All of them must have been dropped. */
void phrase_pool_fini(struct phrase_pool *p);
/* A held copy, for phrase_drop; ptr NULL: out of memory. The empty text costs nothing. */
struct str phrase_hold(struct phrase_pool *p, struct str text) MUST_CHECK;
void phrase_drop(struct phrase_pool *p, struct str phrase);
