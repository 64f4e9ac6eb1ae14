#include "reconciler/pki/certificate.h"

#include <string.h>
#include <sys/socket.h>

#include "reconciler/base/certificate_facts.h"
#include "reconciler/pki/der.h"
#include "reconciler/pki/digest.h"
#include "reconciler/pki/spki.h"

/* The extensions that are read (RFC 5280 §4.2.1); 2.5.29.x is 55 1d x. */
static const char oid_subject_key_id[] = "\x55\x1d\x0e";
static const char oid_subject_alt_name[] = "\x55\x1d\x11";
static const char oid_basic_constraints[] = "\x55\x1d\x13";
static const char oid_authority_key_id[] = "\x55\x1d\x23";
static const char oid_common_name[] = "\x55\x04\x03";

static int refuse(struct error *e, const char *what)
{
    return error_set(e, ERROR_CRYPTO, "not a certificate: %s", what);
}

/* Days from 1970-01-01 in the Gregorian calendar, for years from 1 on. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static bool is_date(int64_t year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] + (leap && month == 2);
}

/* MMDDHHMMSS behind its year. */
static bool read_date(int64_t year, const char *p, int64_t *seconds)
{
    int month = two_digits(p), day = two_digits(p + 2), hour = two_digits(p + 4);
    int minute = two_digits(p + 6), second = two_digits(p + 8);

    if (year < 1 || !is_date(year, month, day) || hour > 23 || minute > 59 || second > 59)
        return false;
    *seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* UTCTime YYMMDDHHMMSSZ or GeneralizedTime YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5). */
static bool read_time(struct str *cursor, int64_t *seconds)
{
    struct der_element element;
    struct str digits;
    int64_t year;

    if (!der_next(cursor, &element) || !str_ends(element.content, STR("Z")))
        return false;
    digits = str_slice(element.content, 0, element.content.len - 1);
    for (size_t i = 0; i < digits.len; i++)
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
    if (element.tag == DER_UTC_TIME && digits.len == 12) {
        year = two_digits(digits.ptr);
        return read_date(year + (year < 50 ? 2000 : 1900), digits.ptr + 2, seconds);
    }
    if (element.tag == DER_GENERALIZED_TIME && digits.len == 14) {
        year = two_digits(digits.ptr) * 100 + two_digits(digits.ptr + 2);
        return read_date(year, digits.ptr + 4, seconds);
    }
    return false;
}

/* One RelativeDistinguishedName; the first commonName of all stays in *cn. */
static bool read_name_part(struct str set, struct str *cn)
{
    struct der_element value;
    struct str pair, oid;

    if (!set.len)
        return false;
    while (set.len) {
        if (!der_take(&set, DER_SEQUENCE, &pair) || !der_take(&pair, DER_OID, &oid) ||
            !der_next(&pair, &value) || pair.len)
            return false;
        if (!cn->ptr && str_equal_cstr(oid, oid_common_name))
            *cn = value.content;
    }
    return true;
}

static bool read_name(struct str *cursor, struct str *whole, struct str *cn)
{
    struct der_element name;
    struct str set;

    *cn = STR_NONE;
    if (!der_next(cursor, &name) || name.tag != DER_SEQUENCE)
        return false;
    *whole = name.whole;
    while (name.content.len)
        if (!der_take(&name.content, DER_SET, &set) || !read_name_part(set, cn))
            return false;
    return true;
}

static bool read_validity(struct str *cursor, struct certificate_view *view)
{
    struct str validity;

    return der_take(cursor, DER_SEQUENCE, &validity) && read_time(&validity, &view->not_before) &&
           read_time(&validity, &view->not_after) && !validity.len;
}

static bool read_alt_names(struct str value, struct certificate_view *view)
{
    struct str names, rest;
    struct der_element element;

    if (view->san.ptr || !der_take(&value, DER_SEQUENCE, &names) || value.len)
        return false;
    for (rest = names; rest.len;)
        if (!der_next(&rest, &element))
            return false;
    view->san = names;
    return true;
}

static bool read_constraints(struct str value, struct certificate_view *view)
{
    struct str fields, flag;

    if (!der_take(&value, DER_SEQUENCE, &fields) || value.len ||
        !der_take_optional(&fields, DER_BOOLEAN, &flag))
        return false;
    view->is_ca = flag.len == 1 && flag.ptr[0] != 0;
    return true;
}

static bool read_authority(struct str value, struct certificate_view *view)
{
    struct str fields;

    return der_take(&value, DER_SEQUENCE, &fields) && !value.len &&
           der_take_optional(&fields, DER_CONTEXT(0), &view->authority_key_id);
}

static bool read_extension(struct str oid, struct str value, struct certificate_view *view)
{
    if (str_equal_cstr(oid, oid_subject_alt_name))
        return read_alt_names(value, view);
    if (str_equal_cstr(oid, oid_basic_constraints))
        return read_constraints(value, view);
    if (str_equal_cstr(oid, oid_authority_key_id))
        return read_authority(value, view);
    if (str_equal_cstr(oid, oid_subject_key_id))
        return der_take(&value, DER_OCTET_STRING, &view->subject_key_id) && !value.len;
    return true;
}

static bool read_extensions(struct str wrapped, struct certificate_view *view)
{
    struct str list, extension, oid, critical, value;

    if (!der_take(&wrapped, DER_SEQUENCE, &list) || wrapped.len)
        return false;
    while (list.len) {
        if (!der_take(&list, DER_SEQUENCE, &extension) || !der_take(&extension, DER_OID, &oid) ||
            !der_take_optional(&extension, DER_BOOLEAN, &critical) ||
            !der_take(&extension, DER_OCTET_STRING, &value) || extension.len ||
            !read_extension(oid, value, view))
            return false;
    }
    return true;
}

static bool read_spki(struct str *cursor, struct certificate_view *view)
{
    struct spki spki;

    if (!spki_take(cursor, &spki))
        return false;
    view->spki = spki.der;
    view->public_key = spki.public_key;
    view->key_type = spki.key_type;
    view->algorithm = spki.algorithm;
    return true;
}

/* issuerUniqueID, subjectUniqueID, extensions: what comes last. */
static bool read_tail(struct str tbs, struct certificate_view *view)
{
    struct str ignored, extensions;

    return der_take_optional(&tbs, DER_CONTEXT(1), &ignored) &&
           der_take_optional(&tbs, DER_CONTEXT(2), &ignored) &&
           der_take_optional(&tbs, DER_CONSTRUCTED(3), &extensions) && !tbs.len &&
           (!extensions.ptr || read_extensions(extensions, view));
}

/* TBSCertificate; what is wrong with it, or NULL. */
static const char *read_tbs(struct str tbs, struct certificate_view *view)
{
    struct str ignored;

    if (!der_take_optional(&tbs, DER_CONSTRUCTED(0), &ignored) ||
        !der_take(&tbs, DER_INTEGER, &view->serial) || !view->serial.len)
        return "its serial number is broken";
    if (!der_take(&tbs, DER_SEQUENCE, &ignored))
        return "its signature algorithm is broken";
    if (!read_name(&tbs, &view->issuer, &view->issuer_cn))
        return "its issuer is broken";
    if (!read_validity(&tbs, view))
        return "its dates are broken";
    if (!read_name(&tbs, &view->subject, &view->subject_cn))
        return "its subject is broken";
    if (!read_spki(&tbs, view))
        return "its public key is broken";
    return read_tail(tbs, view) ? NULL : "its extensions are broken";
}

int certificate_parse(struct str der, struct certificate_view *view, struct error *e)
{
    struct certificate_view found = {.der = der};
    struct str certificate, tbs, algorithm, signature;
    const char *why;

    if (der.len > CERTIFICATE_DER_MAX)
        return refuse(e, "it is too long");
    if (!der_take(&der, DER_SEQUENCE, &certificate) || der.len ||
        !der_take(&certificate, DER_SEQUENCE, &tbs) ||
        !der_take(&certificate, DER_SEQUENCE, &algorithm) ||
        !der_take_bits(&certificate, &signature) || certificate.len)
        return refuse(e, "it is not one DER structure");
    why = read_tbs(tbs, &found);
    if (why)
        return refuse(e, why);
    *view = found;
    return 0;
}

int certificate_read_facts(struct str der, struct certificate_facts *facts, struct error *e)
{
    struct certificate_view view;
    struct certificate_facts found;

    if (certificate_parse(der, &view, e))
        return -1;
    if (digest_sha256(der, found.fingerprint))
        return error_memory(e);
    found.not_before = view.not_before;
    found.not_after = view.not_after;
    found.key_type = view.key_type;
    *facts = found;
    return 0;
}

bool certificate_next_name(struct str *rest, enum certificate_name *kind, struct str *name)
{
    struct der_element element;

    while (der_next(rest, &element)) {
        bool is_ip = element.tag == DER_CONTEXT(7);

        if (!is_ip && element.tag != DER_CONTEXT(2))
            continue;
        if (is_ip && element.content.len != 4 && element.content.len != 16)
            continue;
        *kind = is_ip ? CERTIFICATE_IP : CERTIFICATE_DNS;
        *name = element.content;
        return true;
    }
    return false;
}

bool certificate_parse_ip(struct str name, struct str *bytes, unsigned char room[IP_BYTES_MAX])
{
    int family = ip_parse(name, room);

    if (family)
        *bytes = (struct str){(const char *)room, family == AF_INET6 ? 16 : 4};
    return family != 0;
}

/* RFC 6125 §6.4.3, the strict form: `*` is a whole leftmost label and stands for exactly one. */
static bool matches(struct str pattern, struct str name)
{
    size_t dot;

    if (str_equal_nocase(pattern, name))
        return true;
    if (!str_starts(pattern, STR("*.")) || str_starts(name, STR("*")))
        return false;
    dot = str_find(name, '.', 0);
    return dot > 0 && dot < name.len &&
           str_equal_nocase(str_slice(pattern, 1, pattern.len), str_slice(name, dot, name.len));
}

bool certificate_covers(const struct certificate_view *view, struct str name)
{
    struct str rest = view->san, entry, ip = STR_NONE;
    unsigned char room[16];
    enum certificate_name kind;
    bool is_ip = certificate_parse_ip(name, &ip, room);

    while (certificate_next_name(&rest, &kind, &entry)) {
        if (is_ip ? kind == CERTIFICATE_IP && str_equal(entry, ip)
                  : kind == CERTIFICATE_DNS && matches(entry, name))
            return true;
    }
    return false;
}

bool certificate_covers_sni(const struct certificate_view *view, struct str sni)
{
    struct str rest = view->san, name;
    enum certificate_name kind;

    if (str_equal(sni, STR("*")))
        return true;
    if (!str_ends(sni, STR(".*")))
        return certificate_covers(view, sni);
    /* No certificate can bear such a pattern as it is. */
    while (certificate_next_name(&rest, &kind, &name))
        if (kind == CERTIFICATE_DNS && name.len >= sni.len &&
            str_equal_nocase(str_slice(name, 0, sni.len - 1), str_slice(sni, 0, sni.len - 1)))
            return true;
    return false;
}
