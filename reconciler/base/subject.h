#pragma once

#include <stdbool.h>

#include "key_type.h"
#include "str.h"

/*
 * What one certificate is for: a name, and the family of its key where a name has several. What
 * plans, the store, the index, orders and the storage are keyed by.
 */

/* The numbers are written nowhere; the words are part of keys in the storage. */
enum key_family {
    FAMILY_FIRST, /* a name's first or only one: what the file asks for, whatever it is */
    FAMILY_ECDSA, /* a further one ... */
    FAMILY_RSA,
    FAMILY_COUNT
};

struct subject {
    struct str name; /* host name in lower case, or an IP address */
    enum key_family family;
};

/* What a key of this type is; FAMILY_FIRST: none that a name can have besides its first. */
enum key_family subject_family(enum key_type type);

/* The first family of a name. */
static inline struct subject subject_first(struct str name)
{
    return (struct subject){.name = name};
}

/* By name, then by family. */
int subject_compare(const struct subject *a, const struct subject *b);

/* Of sorted items, each of which begins with a struct subject: the one of `subject`, or NULL. */
const void *subject_find(const void *items, size_t count, size_t size, struct subject subject);

#define SUBJECT_NAME_MAX 255
#define SUBJECT_KEY_MAX (SUBJECT_NAME_MAX + 8)

/*
 * One text for it: the name alone for the first family, else `@ecdsa:` or `@rsa:` and the name; no
 * host begins with `@`. A view into the name, or into `room`; STR_NONE: the name is too long.
 */
struct str subject_key(const struct subject *s, char room[SUBJECT_KEY_MAX]);
/* The reverse; the name is a view into `key`. False: an `@` with no such family, or no name. */
bool subject_parse(struct str key, struct subject *s);
