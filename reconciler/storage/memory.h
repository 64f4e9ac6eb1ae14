#pragma once

#include "storage.h"

/*
 * Values in memory, for tests: what several storages open at a time share, as replicas share a
 * server. It has no transactions: a put is written value by value, and others hear of it.
 */
extern const struct storage_operations memory_operations;

struct memory_space *memory_space_new(void) MUST_CHECK; /* NULL: out of memory */
void memory_space_free(struct memory_space *m);         /* when nobody has it open. NULL is fine */

/* The n-th value written from now on, or probe, fails with ERROR_STORAGE (1 = the next); 0: none. */
void memory_fail_after(struct memory_space *m, size_t n);
/* Nothing is carried out until it is let go on: a server that takes minutes. */
void memory_hold(struct memory_space *m, bool holds);
/* Away: nothing can be asked; who has it open is told, then and when it is back. */
void memory_away(struct memory_space *m, bool is_away);
size_t memory_count(const struct memory_space *m);
