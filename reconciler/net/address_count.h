#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "reconciler/base/attr.h"

/*
 * How many connections each peer address has. Addresses are counted by block
 * (base/address_block.h); unix sockets are not counted.
 */
struct address_count;
struct address_peer; /* one address that has connections */

/* NULL when memory is out. */
struct address_count *address_count_new(void) MUST_CHECK;
void address_count_free(struct address_count *c); /* NULL is fine */

/*
 * Counts one more connection; *peer is what address_count_put gives back (NULL for what is not
 * counted). -1 where `max` are there already, or memory is out.
 */
int address_count_take(struct address_count *c, const struct sockaddr *address, size_t max,
                       struct address_peer **peer) MUST_CHECK;
void address_count_put(struct address_count *c, struct address_peer *peer); /* NULL is fine */
