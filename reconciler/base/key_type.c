#include "key_type.h"

const char *key_type_name(enum key_type type)
{
    switch (type) {
    case KEY_P256:
        return "ecdsa-p256";
    case KEY_P384:
        return "ecdsa-p384";
    case KEY_RSA_2048:
        return "rsa-2048";
    case KEY_RSA_3072:
        return "rsa-3072";
    case KEY_RSA_4096:
        return "rsa-4096";
    case KEY_OTHER:
        return "other";
    case KEY_NONE:
        break;
    }
    return "none";
}

enum key_type key_type_from(struct str name)
{
    for (int type = KEY_NONE + 1; type <= KEY_OTHER; type++)
        if (str_equal_cstr(name, key_type_name((enum key_type)type)))
            return (enum key_type)type;
    return KEY_NONE;
}
