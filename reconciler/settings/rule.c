#include "rule.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/ip.h"

#define SHOWN_MAX 100 /* bytes of a refused value that are shown */
#define NAME_MAX_BYTES 64

int rule_refuse(struct str value, const char *why, struct error *e)
{
    if (rule_is_pem(value))
        return error_set(e, ERROR_USAGE, "a PEM text %s", why);
    return error_set(e, ERROR_USAGE, "\"%.*s%s\" %s", STR_ARG(str_slice(value, 0, SHOWN_MAX)),
                     value.len > SHOWN_MAX ? "..." : "", why);
}

/* All of `value` is letters, digits or in `others`. */
static bool is_made_of(struct str value, const char *others)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = str_lower(value.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr(others, c))))
            return false;
    }
    return value.len > 0;
}

int rule_url(struct str value, struct error *e)
{
    static const char scheme[] = "https://";
    struct str rest, host;

    if (value.len > RULE_URL_MAX)
        return rule_refuse(value, "is longer than a URL may be", e);
    if (!str_equal_nocase(str_slice(value, 0, strlen(scheme)), str_from(scheme)))
        return rule_refuse(value, "is not an https:// URL", e);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~')
            return rule_refuse(value, "has characters that a URL may not have", e);
    host = str_cut(str_slice(value, strlen(scheme), value.len), '/', &rest);
    if (str_find(host, '@', 0) < host.len)
        return error_set(e, ERROR_USAGE, "is a URL with a user or password in it");
    if (!is_made_of(host, "-._:[]"))
        return rule_refuse(value, "has no host that can be asked", e);
    return 0;
}

int rule_trusted_ip(struct str value, struct error *e)
{
    struct str bits, address = str_cut(value, '/', &bits);
    unsigned char bytes[IP_BYTES_MAX];
    int family = ip_parse(address, bytes);
    uint64_t n = 0;

    if (str_equal_cstr(value, "unix:"))
        return 0;
    if (!family || (bits.ptr && (!str_to_u64(bits, &n) || n > (family == AF_INET ? 32 : 128))))
        return rule_refuse(value, "is not an IP address, a CIDR block or \"unix:\"", e);
    return 0;
}

int rule_name_server(struct str value, struct error *e)
{
    struct str address = value, port = STR_NONE;
    unsigned char bytes[IP_BYTES_MAX];
    uint64_t n = 0;

    if (str_starts(value, STR("["))) {
        address = str_cut(str_slice(value, 1, value.len), ']', &port);
        if (!port.ptr || (port.len && port.ptr[0] != ':'))
            return rule_refuse(value, "is not of the form [address]:port", e);
        port = port.len ? str_slice(port, 1, port.len) : STR_NONE;
    } else if (ip_parse(value, bytes) != AF_INET6) {
        address = str_cut(value, ':', &port);
    }
    if (!ip_parse(address, bytes) || (port.ptr && (!str_to_u64(port, &n) || !n || n > UINT16_MAX)))
        return rule_refuse(value, "is not an IP address with or without a port", e);
    return 0;
}

int rule_user(struct str value, struct error *e)
{
    struct str group, user = str_cut(value, ' ', &group);

    if (group.ptr)
        group = str_trim(group);
    if (!is_made_of(user, "-_.") || (group.ptr && !is_made_of(group, "-_.")) ||
        user.len > NAME_MAX_BYTES || group.len > NAME_MAX_BYTES)
        return rule_refuse(value, "is not of the form `user` or `user group`", e);
    return 0;
}

int rule_header(struct str value, struct error *e)
{
    /* RFC 9110 §5.6.2: token */
    return is_made_of(value, "!#$%&'*+-.^_`|~") && value.len <= NAME_MAX_BYTES
               ? 0
               : rule_refuse(value, "is not the name of a header", e);
}

int rule_plugin(struct str value, struct error *e)
{
    return is_made_of(value, "-_.") && value.len <= NAME_MAX_BYTES
               ? 0
               : rule_refuse(value, "is not the name of a plugin", e);
}

bool rule_is_pem(struct str value)
{
    static const char mark[] = "-----BEGIN ";

    return (value.len && memmem(value.ptr, value.len, mark, strlen(mark))) ||
           str_starts(value, STR("LS0tLS1CRUdJTi")); /* base64 of the mark */
}

/* What is no path may be a key: it is not quoted. */
int rule_path(struct str value, struct error *e)
{
    if (rule_is_pem(value))
        return error_set(e, ERROR_USAGE, "must be a file's path, not its text");
    if (value.len >= PATH_MAX)
        return error_set(e, ERROR_USAGE, "is longer than a path may be");
    return 0;
}

int rule_approve(struct str value, struct error *e)
{
    static const char *const words[] = {"true", "false", "yes", "no", "1", "0"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (str_equal_nocase(value, str_from(words[i])))
            return rule_refuse(value, "is neither on, off nor the path of a plan", e);
    return rule_path(value, e);
}
