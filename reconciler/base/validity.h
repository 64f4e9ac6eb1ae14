#pragma once

#include <stdbool.h>
#include <stdint.h>

/* When a certificate is valid: unix seconds, both included (RFC 5280 §4.1.2.5). Zeroed: nobody
 * knows, and it counts as valid. */
struct validity {
    int64_t from, to;
};

bool validity_holds(const struct validity *v, int64_t now);
/* Narrows [*since, *until) around `now` to where validity_holds says the same. */
void validity_narrow(const struct validity *v, int64_t now, int64_t *since, int64_t *until);
