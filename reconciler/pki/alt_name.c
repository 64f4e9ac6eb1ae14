#include "reconciler/pki/alt_name.h"

#include "reconciler/pki/certificate.h"

GENERAL_NAMES *alt_name_make(struct str name)
{
    struct str ip = STR_NONE;
    unsigned char room[16];
    bool is_ip = certificate_parse_ip(name, &ip, room);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_STRING *text = is_ip ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

    if (is_ip)
        name = ip;
    if (!names || !one || !text || !ASN1_STRING_set(text, name.ptr, (int)name.len)) {
        ASN1_STRING_free(text);
        goto out;
    }
    GENERAL_NAME_set0_value(one, is_ip ? GEN_IPADD : GEN_DNS, text);
    if (sk_GENERAL_NAME_push(names, one))
        return names;
out:
    GENERAL_NAME_free(one);
    GENERAL_NAMES_free(names);
    return NULL;
}
