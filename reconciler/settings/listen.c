#include "listen.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/hostname.h"
#include "reconciler/base/ip.h"

#define KEEPALIVE_SECONDS_MAX 32767 /* Linux' limit for TCP_KEEPIDLE and TCP_KEEPINTVL */
#define KEEPALIVE_COUNT_MAX 127     /* and for TCP_KEEPCNT */

/* Flags that are a word. */
static const struct {
    const char *word;
    size_t at;
    bool http, stream;
} flags[] = {
    {"ssl", offsetof(struct settings_listen, ssl), true, true},
    {"http2", offsetof(struct settings_listen, http2), true, false},
    {"udp", offsetof(struct settings_listen, udp), false, true},
    {"proxy_protocol", offsetof(struct settings_listen, proxy_protocol), true, true},
    {"deferred", offsetof(struct settings_listen, deferred), true, false},
    {"bind", offsetof(struct settings_listen, bind), true, true},
    {"reuseport", offsetof(struct settings_listen, reuseport), true, true},
};

static int refuse(struct error *e, struct str text, const char *why)
{
    return error_set(e, ERROR_USAGE, "\"%.*s\" %s", STR_ARG(str_slice(text, 0, 100)), why);
}

/* nginx' times: seconds, or with s, m, h behind; empty is 0. */
static bool seconds_from(struct str text, int *out)
{
    static const char units[] = "smh";
    static const unsigned scale[] = {1, 60, 3600};
    uint64_t n = 0, unit = 1;

    if (!text.len) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(scale); i++)
        if (text.ptr[text.len - 1] == units[i]) {
            unit = scale[i];
            text.len--;
            break;
        }
    if (!str_to_u64(text, &n) || n == 0 || n > KEEPALIVE_SECONDS_MAX / unit)
        return false;
    *out = (int)(n * unit);
    return true;
}

/* idle:interval:count, each of which may be empty, but not all. */
static int parse_keepalive_numbers(struct str text, struct settings_listen *l)
{
    struct str interval, count, idle = str_cut(text, ':', &interval);
    uint64_t n = 0;

    interval = str_cut(interval, ':', &count);
    if (!count.ptr || !seconds_from(idle, &l->so_keepalive_idle_s) ||
        !seconds_from(interval, &l->so_keepalive_interval_s))
        return -1;
    if (count.len && (!str_to_u64(count, &n) || n == 0 || n > KEEPALIVE_COUNT_MAX))
        return -1;
    l->so_keepalive_count = (int)n;
    return idle.len || interval.len || count.len ? 0 : -1;
}

static int parse_keepalive(struct str value, struct settings_listen *l)
{
    l->so_keepalive_set = true;
    l->so_keepalive = !str_equal_cstr(value, "off");
    if (str_equal_cstr(value, "on") || str_equal_cstr(value, "off"))
        return 0;
    return parse_keepalive_numbers(value, l);
}

/* Flags that carry a value. */
static int parse_valued(struct str word, struct settings_listen *l, struct error *e)
{
    struct str value, name = str_cut(word, '=', &value);
    uint64_t n;

    if (str_equal_cstr(name, "backlog")) {
        if (!str_to_u64(value, &n) || n == 0 || n > LISTEN_BACKLOG_MAX)
            return refuse(e, word, "is not backlog=1 to backlog=65535");
        l->backlog = (int)n;
        return 0;
    }
    if (str_equal_cstr(name, "ipv6only")) {
        l->ipv6only_set = true;
        l->ipv6only = str_equal_cstr(value, "on");
        return l->ipv6only || str_equal_cstr(value, "off")
                   ? 0
                   : refuse(e, word, "is not ipv6only=on or ipv6only=off");
    }
    if (str_equal_cstr(name, "so_keepalive"))
        return parse_keepalive(value, l)
                   ? refuse(e, word, "is not so_keepalive=on, off or idle:interval:count")
                   : 0;
    return refuse(e, word, "is neither address:port nor a flag of a listener");
}

static int parse_flag(struct str word, enum listen_kind kind, struct settings_listen *l,
                      struct error *e)
{
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        if (!str_equal_cstr(word, flags[i].word))
            continue;
        if (!(kind == LISTEN_HTTP ? flags[i].http : flags[i].stream))
            return refuse(e, word, "is not a flag of this kind of listener");
        *(bool *)((char *)l + flags[i].at) = true;
        return 0;
    }
    return parse_valued(word, l, e);
}

static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!hostname_is_byte(str_lower(s.ptr[i])))
            return false;
    return s.len > 0;
}

static int parse_host(struct str host, bool in_brackets, struct str whole,
                      struct settings_listen *l, struct error *e)
{
    unsigned char address[IP_BYTES_MAX];

    if (host.len >= sizeof(l->address))
        return refuse(e, whole, "has an address that is too long");
    memcpy(l->address, host.ptr, host.len);
    l->address[host.len] = '\0';
    if (in_brackets)
        return ip_parse(host, address) == AF_INET6
                   ? 0
                   : refuse(e, whole, "has no IPv6 address between its brackets");
    if (memchr(host.ptr, ':', host.len))
        return refuse(e, whole, "must have its IPv6 address in brackets, as in [::]:8000");
    if (!is_host_name(host) || (hostname_is_numeric(host) && ip_parse(host, address) != AF_INET))
        return refuse(e, whole, "does not begin with an IP address or a host name");
    return 0;
}

static int parse_address(struct str text, struct settings_listen *l, struct error *e)
{
    bool in_brackets = str_starts(text, STR("["));
    size_t colon = text.len;
    struct str host, port;
    uint64_t number;

    if (str_starts(text, STR("unix:")))
        return refuse(e, text, "is a unix socket: only IP addresses are listened on");
    while (colon && text.ptr[colon - 1] != ':')
        colon--;
    if (!colon)
        return refuse(e, text, "is not of the form address:port");
    host = str_slice(text, 0, colon - 1);
    port = str_slice(text, colon, text.len);
    if (in_brackets) {
        if (!str_ends(host, STR("]")))
            return refuse(e, text, "is not of the form [address]:port");
        host = str_slice(host, 1, host.len - 1);
    }
    if (!str_to_u64(port, &number) || number > UINT16_MAX)
        return refuse(e, text, "has no port from 0 to 65535");
    l->port = (uint16_t)number;
    return parse_host(host, in_brackets, text, l, e);
}

static struct str next_word(struct str *rest)
{
    struct str text = str_trim(*rest);
    size_t end = 0;

    while (end < text.len && text.ptr[end] != ' ' && text.ptr[end] != '\t')
        end++;
    *rest = str_slice(text, end, text.len);
    return str_slice(text, 0, end);
}

/* Kong takes the flags from anywhere in the entry; what is left must be the address. */
static bool is_address(struct str word)
{
    return memchr(word.ptr, ':', word.len) && !str_starts(word, STR("so_keepalive="));
}

int listen_parse(struct str text, enum listen_kind kind, struct settings_listen *out,
                 struct error *e)
{
    struct settings_listen l = {0};
    struct str rest = text, word;
    bool has_address = false;

    while ((word = next_word(&rest)).len) {
        if (!is_address(word)) {
            if (parse_flag(word, kind, &l, e))
                return -1;
            continue;
        }
        if (has_address)
            return refuse(e, text, "has two addresses: put a comma between entries");
        has_address = true;
        if (parse_address(word, &l, e))
            return -1;
    }
    if (!has_address)
        return refuse(e, text, "has no address:port");
    if (l.ipv6only_set && !strchr(l.address, ':'))
        return refuse(e, text, "sets ipv6only on an address that is not IPv6");
    *out = l;
    return 0;
}

static void print_number(int n, const char *after, struct buf *out)
{
    if (n)
        buf_printf(out, "%d", n);
    buf_cstr(out, after);
}

static void print_keepalive(const struct settings_listen *l, struct buf *out)
{
    if (!l->so_keepalive_set)
        return;
    buf_cstr(out, " so_keepalive=");
    if (!l->so_keepalive_idle_s && !l->so_keepalive_interval_s && !l->so_keepalive_count) {
        buf_cstr(out, l->so_keepalive ? "on" : "off");
        return;
    }
    print_number(l->so_keepalive_idle_s, ":", out);
    print_number(l->so_keepalive_interval_s, ":", out);
    print_number(l->so_keepalive_count, "", out);
}

void listen_print(const struct settings_listen *l, struct buf *out)
{
    bool is_ipv6 = strchr(l->address, ':') != NULL;

    buf_printf(out, is_ipv6 ? "[%s]:%u" : "%s:%u", l->address, (unsigned)l->port);
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
        if (*(const bool *)((const char *)l + flags[i].at))
            buf_printf(out, " %s", flags[i].word);
    if (l->backlog)
        buf_printf(out, " backlog=%d", l->backlog);
    if (l->ipv6only_set)
        buf_printf(out, " ipv6only=%s", l->ipv6only ? "on" : "off");
    print_keepalive(l, out);
}
