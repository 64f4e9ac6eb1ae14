#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/* What the public CAs have in common: who they are, and which names none of them certifies (design
 * 5). */

/* True if the host of this directory URL is, or lies under, a domain of the table of public CAs. */
bool public_ca_runs(struct str directory);

/* The same for Let's Encrypt alone, staging too: their terms must be accepted in the file. */
bool public_ca_is_lets_encrypt(struct str directory);

/*
 * Why no public CA certifies `name`, or NULL if one may. A static text for the end of a sentence:
 * "it has only one label". `name` is lower case.
 */
const char *public_ca_refuses(struct str name);
