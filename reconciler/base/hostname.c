#include "hostname.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool hostname_is_byte(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_';
}

bool hostname_is_normal(struct str name)
{
    char last = '.';

    if (name.len > HOSTNAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!hostname_is_byte(name.ptr[i]) || (name.ptr[i] == '.' && last == '.'))
            return false;
        last = name.ptr[i];
    }
    return last != '.';
}

struct str hostname_lower(struct str text, char *room)
{
    if (text.len > 1 && text.ptr[text.len - 1] == '.')
        text.len--;
    for (size_t i = 0; i < text.len; i++)
        room[i] = str_lower(text.ptr[i]);
    room[text.len] = '\0';
    return (struct str){room, text.len};
}

bool hostname_is_numeric(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.ptr[i]) && text.ptr[i] != '.')
            return false;
    return text.len > 0;
}

bool hostname_is_ipv4(struct str name)
{
    size_t groups = 0;
    struct str rest = name;

    if (!hostname_is_numeric(name))
        return false;
    for (; rest.ptr; groups++)
        if (!str_cut(rest, '.', &rest).len)
            return false;
    return groups == 4;
}

bool hostname_lies_under(struct str name, struct str domain)
{
    size_t above = name.len - domain.len;

    return name.len >= domain.len && str_equal_nocase(str_slice(name, above, name.len), domain) &&
           (above == 0 || name.ptr[above - 1] == '.');
}

/* ---- the ladder ---- */

/* Where the last label begins; 0 for the only one. */
static size_t last_label(struct str name)
{
    while (name.len && name.ptr[name.len - 1] != '.')
        name.len--;
    return name.len;
}

struct str hostname_pattern(struct str name, enum hostname_rung rung, char room[HOSTNAME_ROOM])
{
    size_t first, last;

    if (rung == HOSTNAME_EXACT)
        return name;
    if (rung == HOSTNAME_STAR)
        return STR("*");
    first = str_find(name, '.', 0);
    last = last_label(name);
    if (!last || name.len > HOSTNAME_MAX)
        return STR_NONE;
    if (rung == HOSTNAME_LAST_LABEL) {
        memcpy(room, name.ptr, last);
        room[last] = '*';
        return (struct str){room, last + 1};
    }
    if (first + 1 == last)
        return STR_NONE;
    room[0] = '*';
    memcpy(room + 1, name.ptr + first, name.len - first);
    return (struct str){room, 1 + name.len - first};
}

enum hostname_rung hostname_rung_of(struct str sni, struct str name)
{
    /* Most SNIs are no patterns. */
    bool is_pattern = str_find(sni, '*', 0) < sni.len;
    enum hostname_rung rung = HOSTNAME_EXACT;
    char room[HOSTNAME_ROOM];

    while (rung < HOSTNAME_RUNGS && !str_equal(hostname_pattern(name, rung, room), sni))
        rung = is_pattern ? rung + 1 : HOSTNAME_RUNGS;
    return rung;
}

/* ---- lists ---- */

/* A star in the place of what comes before a dot, from the first dot on. `text` is written over. */
static bool has_suffix(const struct hostname_list *list, char *text, size_t len)
{
    struct str whole = {text, len};

    for (size_t dot = str_find(whole, '.', 1); dot < len; dot = str_find(whole, '.', dot + 1)) {
        text[dot - 1] = '*';
        if (list->has(list->entries, str_slice(whole, dot - 1, len)))
            return true;
    }
    return false;
}

/* A star, and `port`, in the place of what follows a dot, from the last dot on. */
static bool has_prefix(const struct hostname_list *list, char *text, size_t len, const char *port)
{
    size_t port_len = strlen(port);

    if (len && text[len - 1] == '.')
        len--;
    while ((len = last_label((struct str){text, len})) > 0) {
        text[len] = '*';
        memcpy(text + len + 1, port, port_len);
        if (list->has(list->entries, (struct str){text, len + 1 + port_len}))
            return true;
        len--;
    }
    return false;
}

/* `port` is empty or as a list has it. */
static bool claims(const struct hostname_list *hosts, struct str name, const char *port)
{
    char text[HOSTNAME_ROOM + HOSTNAME_PORT_ROOM];
    size_t len = name.len + strlen(port);

    memcpy(text, name.ptr, name.len);
    memcpy(text + name.len, port, len - name.len);
    if (hosts->has(hosts->entries, (struct str){text, len}) || has_suffix(hosts, text, len))
        return true;
    memcpy(text, name.ptr, name.len);
    return has_prefix(hosts, text, name.len, port);
}

bool hostname_is_claimed(const struct hostname_list *hosts, struct str name, uint16_t port)
{
    char with_port[HOSTNAME_PORT_ROOM];

    if (!name.len || name.len > HOSTNAME_MAX)
        return false;
    if (claims(hosts, name, ""))
        return true;
    snprintf(with_port, sizeof(with_port), ":%u", (unsigned)port);
    return port && claims(hosts, name, with_port);
}

enum hostname_passage hostname_ask(const struct hostname_gate *gate, struct str host)
{
    const struct hostname_list *domains = &gate->domains;
    char text[HOSTNAME_ROOM];

    if (gate->is_closed)
        return HOSTNAME_CLOSED;
    if (!host.len || host.len > HOSTNAME_MAX)
        return HOSTNAME_CLOSED_NO_MATCH;
    if (!gate->allows_ipv4 && hostname_is_ipv4(host))
        return HOSTNAME_CLOSED_IPV4;
    if (gate->allows_any)
        return HOSTNAME_OPEN_ANY;
    if (domains->has(domains->entries, host))
        return HOSTNAME_OPEN_EXACT;
    memcpy(text, host.ptr, host.len);
    return has_suffix(domains, text, host.len) ? HOSTNAME_OPEN_WILDCARD : HOSTNAME_CLOSED_NO_MATCH;
}

bool hostname_passes(const struct hostname_gate *gate, struct str host)
{
    return hostname_ask(gate, host) >= HOSTNAME_OPEN_ANY;
}
