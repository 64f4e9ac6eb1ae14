#include "ca.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Those of the account come first. */
static const size_t texts[] = {
    offsetof(struct ca, directory),       offsetof(struct ca, api_uri),
    offsetof(struct ca, email),           offsetof(struct ca, account_key),
    offsetof(struct ca, eab_kid),         offsetof(struct ca, eab_hmac_key),
    offsetof(struct ca, preferred_chain),
};

#define ACCOUNT_TEXTS (ARRAY_LENGTH(texts) - 1)

static struct str *text_of(const struct ca *ca, size_t i)
{
    return (struct str *)((char *)ca + texts[i]);
}

bool ca_has_issued(const struct ca *ca, struct str directory)
{
    bool is_told = directory.len && ca && ca->directory.len;

    while (is_told && ca && !str_equal(ca->directory, directory))
        ca = ca->fallback;
    return !is_told || ca;
}

bool ca_is_same_account(const struct ca *a, const struct ca *b)
{
    for (size_t i = 0; i < ACCOUNT_TEXTS; i++)
        if (!str_equal(*text_of(a, i), *text_of(b, i)))
            return false;
    return a->apart == b->apart;
}

int ca_copy(const struct ca *ca, struct ca *copy)
{
    bool failed = false;

    *copy = *ca;
    copy->limits = NULL;
    copy->fallback = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct str *text = text_of(copy, i);

        if (!text->ptr)
            continue;
        text->ptr = str_dup(*text);
        failed = failed || !text->ptr;
    }
    if (failed)
        ca_fini(copy);
    return failed ? -1 : 0;
}

void ca_fini(struct ca *ca)
{
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct str *text = text_of(ca, i);

        if (text->ptr)
            explicit_bzero((char *)text->ptr, text->len);
        free((char *)text->ptr);
    }
    *ca = (struct ca){0};
}
