#include "subject.h"

#include <stdlib.h>
#include <string.h>

static const struct str prefixes[FAMILY_COUNT] = {
    [FAMILY_FIRST] = STR_INIT(""),
    [FAMILY_ECDSA] = STR_INIT("@ecdsa:"),
    [FAMILY_RSA] = STR_INIT("@rsa:"),
};

enum key_family subject_family(enum key_type type)
{
    if (type == KEY_P256 || type == KEY_P384)
        return FAMILY_ECDSA;
    return type == KEY_RSA_2048 || type == KEY_RSA_3072 || type == KEY_RSA_4096 ? FAMILY_RSA
                                                                                : FAMILY_FIRST;
}

int subject_compare(const struct subject *a, const struct subject *b)
{
    int order = str_compare(a->name, b->name);

    return order ? order : (a->family > b->family) - (a->family < b->family);
}

static int compare_items(const void *subject, const void *item)
{
    return subject_compare(subject, item);
}

const void *subject_find(const void *items, size_t count, size_t size, struct subject subject)
{
    return count ? bsearch(&subject, items, count, size, compare_items) : NULL;
}

struct str subject_key(const struct subject *s, char room[SUBJECT_KEY_MAX])
{
    struct str prefix = prefixes[s->family];

    if (!prefix.len)
        return s->name;
    if (s->name.len > SUBJECT_NAME_MAX)
        return STR_NONE;
    memcpy(room, prefix.ptr, prefix.len);
    memcpy(room + prefix.len, s->name.ptr, s->name.len);
    return (struct str){room, prefix.len + s->name.len};
}

bool subject_parse(struct str key, struct subject *s)
{
    for (int family = FAMILY_COUNT - 1; family >= FAMILY_FIRST; family--) {
        struct str prefix = prefixes[family];

        if (!str_starts(key, prefix))
            continue;
        *s = (struct subject){str_slice(key, prefix.len, key.len), (enum key_family)family};
        return s->name.len > 0 && s->name.ptr[0] != '@';
    }
    return false;
}
