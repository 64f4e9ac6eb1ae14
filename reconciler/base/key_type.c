#include "key_type.h"

static const struct {
    const char *name;
    size_t rsa_bits;
} rows[] = {
    [KEY_NONE] = {"none", 0},
    [KEY_P256] = {"ecdsa-p256", 0},
    [KEY_P384] = {"ecdsa-p384", 0},
    [KEY_RSA_2048] = {"rsa-2048", 2048},
    [KEY_RSA_3072] = {"rsa-3072", 3072},
    [KEY_RSA_4096] = {"rsa-4096", 4096},
    [KEY_OTHER] = {"other", 0},
};

const char *key_type_name(enum key_type type)
{
    return rows[type].name;
}

enum key_type key_type_from(struct str name)
{
    for (int type = KEY_NONE + 1; type <= KEY_OTHER; type++)
        if (str_equal_cstr(name, key_type_name((enum key_type)type)))
            return (enum key_type)type;
    return KEY_NONE;
}

enum key_type key_type_of_rsa(size_t bits)
{
    for (int type = KEY_RSA_2048; type <= KEY_RSA_4096; type++)
        if (rows[type].rsa_bits == bits)
            return (enum key_type)type;
    return KEY_OTHER;
}
