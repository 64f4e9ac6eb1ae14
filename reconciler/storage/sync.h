#pragma once

#include "storage.h"

/* A storage for a verb, which has nothing else to do than to wait for each answer. */
struct storage_sync;

/*
 * Opens it and loads it: `found` and `context` as in struct storage_face, `problems` zeroed by the
 * caller and freed with storage_problems_free. NULL with *e.
 */
struct storage_sync *storage_sync_open(const struct storage_options *options, storage_each *found,
                                       void *context, struct storage_problems *problems,
                                       struct error *e) MUST_CHECK;
int storage_sync_put(struct storage_sync *s, const struct value *v, struct error *e) MUST_CHECK;
void storage_sync_close(struct storage_sync *s); /* NULL is fine */
