#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/address_block.h"
#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/*
 * Which names of handshakes control is told. Strangers may send any number of them: few a second,
 * and of one address so few that those of others are told beside them.
 */
struct seen;

#define SEEN_MS 10000        /* a name is told again after this */
#define SEEN_KEPT_MS 3600000 /* and one that has its certificate already, after this */
#define SEEN_MAX 4096        /* names remembered so */
#define SEEN_PER_SECOND 100  /* names told in a second ... */
#define SEEN_PER_ADDRESS 10  /* ... for one address */

/* Names are told again after `again_ms`. NULL when memory is out. */
struct seen *seen_new(int64_t again_ms) MUST_CHECK;
void seen_free(struct seen *s); /* NULL is fine */

/* Was it told lately? */
bool seen_has(const struct seen *s, struct str name, int64_t now_ms);
/* May one more be told for this address? It counts as told from here on. */
bool seen_take(struct seen *s, const struct address_block *from, int64_t now_ms);
/* It has been told. */
void seen_mark(struct seen *s, struct str name, int64_t now_ms);
