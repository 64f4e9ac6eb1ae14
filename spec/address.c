#include "address.h"

#include <string.h>
#include <sys/socket.h>

#include "reconciler/base/ip.h"

#define PORT_MAX 65535
#define IPV6_TEXT_MAX 64

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (str_lower(c) >= 'a' && str_lower(c) <= 'f');
}

static enum address_type type_of(struct str text)
{
    size_t colons = 0, others = 0;

    for (size_t i = 0; i < text.len; i++) {
        colons += text.ptr[i] == ':';
        others += text.ptr[i] != ':' && text.ptr[i] != '.' && !is_digit(text.ptr[i]);
    }
    if (colons > 1)
        return ADDRESS_IPV6;
    return !others && text.len > colons ? ADDRESS_IPV4 : ADDRESS_NAME;
}

/* Digits only; anything over the largest port is one more than it. */
static bool read_port(struct str digits, uint32_t *port)
{
    uint32_t value = 0;

    if (!digits.len)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.ptr[i]))
            return false;
        if (value <= PORT_MAX)
            value = value * 10 + (uint32_t)(digits.ptr[i] - '0');
    }
    *port = value;
    return true;
}

static enum address_fault take_port(struct str digits, struct address *a)
{
    if (!read_port(digits, &a->port))
        return ADDRESS_BAD_HOST;
    a->has_port = true;
    return a->port > PORT_MAX ? ADDRESS_BAD_PORT : ADDRESS_FINE;
}

static enum address_fault parse_ipv4(struct str text, struct address *a)
{
    size_t colon = str_find(text, ':', 0);
    struct str rest = str_slice(text, 0, colon);

    a->host = rest;
    for (int i = 0; i < 4; i++) {
        struct str part = str_cut(rest, '.', &rest);
        uint32_t value;

        if (part.len > 3 || !read_port(part, &value) || value > 255 ||
            (i < 3) != (rest.ptr != NULL))
            return ADDRESS_BAD_HOST;
    }
    return colon < text.len ? take_port(str_slice(text, colon + 1, text.len), a) : ADDRESS_FINE;
}

/* Where the bracket that opens at 0 closes; text.len if it does not. */
static size_t closing_bracket(struct str text)
{
    size_t depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        depth += text.ptr[i] == '[';
        if (text.ptr[i] == ']' && --depth == 0)
            return i;
    }
    return text.len;
}

static bool has_eight_groups(const char *s)
{
    int groups = 0;

    for (;;) {
        int digits = 0;

        while (is_hex(s[digits]))
            digits++;
        if (digits < 1 || digits > 4)
            return false;
        groups++;
        s += digits;
        if (!*s)
            return groups == 8;
        if (*s++ != ':')
            return false;
    }
}

/* Kong's way: an outer colon gets a 0, the first :: as many as are missing. */
static bool is_ipv6(struct str text)
{
    char full[IPV6_TEXT_MAX], spread[2 * IPV6_TEXT_MAX];
    size_t len = 0, colons = 0, out = 0;
    const char *gap;

    if (!text.len || text.len + 3 > sizeof(full))
        return false;
    if (text.ptr[0] == ':')
        full[len++] = '0';
    memcpy(full + len, text.ptr, text.len);
    len += text.len;
    if (full[len - 1] == ':')
        full[len++] = '0';
    full[len] = '\0';
    gap = strstr(full, "::");
    if (!gap)
        return has_eight_groups(full);
    for (size_t i = 0; i < len; i++)
        colons += full[i] == ':';
    out = (size_t)(gap - full);
    memcpy(spread, full, out);
    spread[out++] = ':';
    for (size_t i = colons; i < 8; i++) {
        spread[out++] = '0';
        spread[out++] = ':';
    }
    memcpy(spread + out, gap + 2, len - (size_t)(gap - full) - 1);
    return has_eight_groups(spread);
}

static enum address_fault parse_ipv6(struct str text, struct address *a)
{
    size_t end;

    a->host = text;
    if (text.ptr[0] != '[')
        return is_ipv6(text) ? ADDRESS_FINE : ADDRESS_BAD_HOST;
    end = closing_bracket(text);
    if (end == text.len)
        return ADDRESS_BAD_HOST;
    if (end + 1 < text.len) {
        enum address_fault fault = text.ptr[end + 1] == ':'
                                       ? take_port(str_slice(text, end + 2, text.len), a)
                                       : ADDRESS_BAD_HOST;
        if (fault)
            return fault;
    }
    a->host = str_slice(text, 1, end);
    return is_ipv6(a->host) ? ADDRESS_FINE : ADDRESS_BAD_HOST;
}

static bool is_name_character(char c)
{
    return is_digit(c) || (str_lower(c) >= 'a' && str_lower(c) <= 'z') || c == '-' || c == '.' ||
           c == '_';
}

/* Labels are not empty (a dot may end the name) and do not end in a dash. */
static bool is_name(struct str name)
{
    struct str rest = name;

    if (!name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_character(name.ptr[i]))
            return false;
    while (rest.ptr) {
        struct str label = str_cut(rest, '.', &rest);

        if ((!label.len && rest.ptr) || (label.len && label.ptr[label.len - 1] == '-'))
            return false;
    }
    return true;
}

static enum address_fault parse_name(struct str text, struct address *a)
{
    size_t colon = str_find(text, ':', 0);

    a->host = text;
    if (colon + 1 < text.len) {
        enum address_fault fault = take_port(str_slice(text, colon + 1, text.len), a);

        if (fault)
            return fault;
        a->host = str_slice(text, 0, colon);
    }
    return is_name(a->host) ? ADDRESS_FINE : ADDRESS_BAD_HOST;
}

enum address_fault address_parse(struct str text, struct address *address)
{
    *address = (struct address){.type = type_of(text)};
    if (address->type == ADDRESS_IPV4)
        return parse_ipv4(text, address);
    return address->type == ADDRESS_IPV6 ? parse_ipv6(text, address) : parse_name(text, address);
}

const char *address_fault_text(enum address_fault fault, enum address_type type)
{
    if (fault == ADDRESS_BAD_PORT)
        return "invalid port number";
    return type == ADDRESS_IPV4   ? "invalid ipv4 address"
           : type == ADDRESS_IPV6 ? "invalid ipv6 address"
                                  : "invalid hostname";
}

/* IPv6 in brackets too. */
static bool is_ip(struct str text)
{
    bool is_bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    unsigned char bytes[IP_BYTES_MAX];

    if (!is_bracketed)
        return ip_parse(text, bytes) != 0;
    return ip_parse(str_slice(text, 1, text.len - 1), bytes) == AF_INET6;
}

bool address_is_ip_or_cidr(struct str text)
{
    struct str prefix, ip = str_cut(text, '/', &prefix);
    bool is_six = str_find(ip, ':', 0) < ip.len;
    uint64_t bits;

    if (!prefix.ptr)
        return is_ip(text);
    if (prefix.len > 1 && prefix.ptr[0] == '0')
        return false;
    return is_ip(ip) && str_to_u64(prefix, &bits) && bits <= (is_six ? 128u : 32u);
}
