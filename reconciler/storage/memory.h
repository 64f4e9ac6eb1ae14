#pragma once

#include "storage.h"

/* Values in memory only, for tests. */
extern const struct storage_operations memory_operations;

/*
 * Test seam: the n-th put, delete or probe from now fails with ERROR_STORAGE (1 = the next); 0
 * switches it off.
 */
void memory_fail_after(struct storage *s, size_t n);
size_t memory_count(const struct storage *s);
