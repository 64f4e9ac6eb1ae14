#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/hostname.h"
#include "spec/model.h"

/* Kong's gate (hostname.h) as a file has it. `host` is lower case without a port. */

/*
 * Asks by reading `domains` from the start; *entry gets the entry that opened it, or NULL.
 * `acme` may be NULL.
 */
enum hostname_passage gate_ask(const struct acme *acme, struct str host, const struct text **entry);

/* For many questions: the wildcard entries in order. */
struct gate {
    const struct acme *acme;
    const struct str *wildcards; /* "*.example.com", sorted, each once */
    size_t count;
};

/* In `arena`; NULL when memory is out. */
struct gate *gate_make(const struct acme *acme, struct arena *arena) MUST_CHECK;

/* Whether `host` itself is an entry of `domains` is for the caller to know. */
bool gate_passes(const struct gate *gate, struct str host, bool is_listed);
