#include "setting.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "listen.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/vec.h"
#include "rule.h"

/* In front of a stored listener that came from our default. */
#define DEFAULT_MARK '*'

static const char *const level_words[] = {"debug", "info", "notice", "warn", "error", "crit"};
static const char *const format_words[] = {
    [LOG_AUTO] = "auto", [LOG_KEY_VALUE] = "text", [LOG_JSON] = "json"};

struct item_list vec(struct str);

static void *field(struct settings *s, size_t at)
{
    return (char *)s + at;
}

static const void *field_of(const struct settings *s, size_t at)
{
    return (const char *)s + at;
}

static int split(struct str text, char separator, struct item_list *items, struct error *e)
{
    struct str rest = text;

    while (rest.ptr) {
        struct str item = str_trim(str_cut(rest, separator, &rest));
        if (!item.len)
            continue;
        if (items->len == SETTINGS_ITEMS_MAX)
            return error_set(e, ERROR_USAGE, "more than %d entries", SETTINGS_ITEMS_MAX);
        if (vec_push(items, item))
            return error_memory(e);
    }
    return 0;
}

static int check_words(const char *const *words, struct str value, struct error *e)
{
    struct buf why = BUF_INIT(ERROR_MESSAGE_MAX);

    for (size_t i = 0; words[i]; i++)
        if (str_equal_cstr(value, words[i]))
            return 0;
    buf_cstr(&why, "is not one of");
    for (size_t i = 0; words[i]; i++)
        buf_printf(&why, "%s %s", i ? "," : "", words[i]);
    rule_refuse(value, why.data ? why.data : "is not allowed", e);
    buf_free(&why);
    return -1;
}

static bool has_controls(const struct setting_type *type, struct str value)
{
    for (size_t i = 0; !type->is_long && i < value.len; i++) {
        char c = value.ptr[i];
        bool is_break = c == '\n' || c == '\r';
        if (((unsigned char)c < ' ' || c == 0x7f) && !(type->is_secret && is_break))
            return true;
    }
    return false;
}

/* What has control characters is not quoted: it may be the text of what should only be named. */
static int check_text(const struct setting_type *type, struct str value, struct error *e)
{
    size_t max = type->is_long ? SETTINGS_CONFIG_STRING_MAX : SETTINGS_VALUE_MAX;

    if (value.len > max)
        return error_set(e, ERROR_USAGE, "more than %zu bytes", max);
    if (has_controls(type, value))
        return error_set(e, ERROR_USAGE, "has control characters");
    if (!type->is_long && str_starts(value, STR("{vault://")))
        return error_set(e, ERROR_USAGE, "vault references in settings are not in this build yet");
    if (type->words && check_words(type->words, value, e))
        return -1;
    return type->check ? type->check(value, e) : 0;
}

static void free_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free_text(texts[i]);
    free(texts);
}

static int put_texts(struct settings *s, const struct setting_type *type, const struct str *items,
                     size_t count, struct error *e)
{
    char ***at = field(s, type->at);
    char **texts = NULL;

    for (size_t i = 0; i < count; i++)
        if (check_text(type, items[i], e))
            return -1;
    if (count) {
        texts = calloc(count + 1, sizeof(*texts));
        for (size_t i = 0; texts && i < count; i++) {
            texts[i] = str_dup(items[i]);
            if (!texts[i]) {
                free_texts(texts);
                texts = NULL;
            }
        }
        if (!texts)
            return error_memory(e);
    }
    free_texts(*at);
    *at = texts;
    *(size_t *)field(s, type->count_at) = count;
    return 0;
}

static int put_text(struct settings *s, const struct setting_type *type, struct str value,
                    struct error *e)
{
    char **at = field(s, type->at);
    char *copy = NULL;

    if (value.len) {
        if (check_text(type, value, e))
            return -1;
        copy = str_dup(value);
        if (!copy)
            return error_memory(e);
    }
    free_text(*at);
    *at = copy;
    return 0;
}

/* Whether `l` has the address of an entry before it; port 0 is another one each time. */
static bool is_repeated(const struct settings_listens *list, const struct settings_listen *l)
{
    for (size_t i = 0; i < list->count; i++)
        if (l->port && l->port == list->items[i].port && l->udp == list->items[i].udp &&
            strcmp(l->address, list->items[i].address) == 0)
            return true;
    return false;
}

static int put_listens(struct settings *s, const struct setting_type *type, const struct str *items,
                       size_t count, struct error *e)
{
    enum listen_kind kind = type->kind == SETTING_HTTP_LISTEN ? LISTEN_HTTP : LISTEN_STREAM;
    struct settings_listens *list = calloc(1, sizeof(*list));
    int rc = -1;

    if (!list)
        return error_memory(e);
    if (count && str_equal_cstr(items[0], "off"))
        count = 0;
    if (count > SETTINGS_LISTEN_MAX) {
        error_set(e, ERROR_USAGE, "more than %d addresses", SETTINGS_LISTEN_MAX);
        goto out;
    }
    for (; list->count < count; list->count++) {
        struct settings_listen *l = &list->items[list->count];
        struct str text = items[list->count];
        if (listen_parse(text, kind, l, e))
            goto out;
        if (is_repeated(list, l)) {
            rule_refuse(text, "has an address that is listed before", e);
            goto out;
        }
    }
    *(struct settings_listens *)field(s, type->at) = *list;
    rc = 0;
out:
    free(list);
    return rc;
}

static int put_port_maps(struct settings *s, const struct setting_type *type,
                         const struct str *items, size_t count, struct error *e)
{
    struct settings_port_map **at = field(s, type->at);
    struct settings_port_map *maps = count ? calloc(count, sizeof(*maps)) : NULL;

    if (count && !maps)
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        struct str inside, outside = str_cut(items[i], ':', &inside);
        uint64_t from = 0, to = 0;
        if (!str_to_u64(outside, &from) || !str_to_u64(inside, &to) || !from || !to ||
            from > UINT16_MAX || to > UINT16_MAX) {
            free(maps);
            return rule_refuse(items[i], "is not a port mapping such as 80:8000", e);
        }
        maps[i] = (struct settings_port_map){.outside = (uint16_t)from, .inside = (uint16_t)to};
    }
    free(*at);
    *at = maps;
    *(size_t *)field(s, type->count_at) = count;
    return 0;
}

static int put_switch(struct settings *s, const struct setting_type *type, struct str value,
                      struct error *e)
{
    bool on = str_equal_cstr(value, "on") || str_equal_cstr(value, "true");

    if (!on && !str_equal_cstr(value, "off") && !str_equal_cstr(value, "false"))
        return rule_refuse(value, "is not on or off", e);
    *(bool *)field(s, type->at) = on;
    return 0;
}

static int put_number(struct settings *s, const struct setting_type *type, struct str value,
                      struct error *e)
{
    uint64_t n = 0, unit = 1;
    struct str digits = value;
    char why[96];

    if (type->kind == SETTING_SIZE && value.len) {
        char last = str_lower(value.ptr[value.len - 1]);
        unit = last == 'k' ? 1U << 10 : last == 'm' ? 1U << 20 : last == 'g' ? 1U << 30 : 1;
        digits = str_slice(value, 0, value.len - (unit > 1));
    }
    if (!str_to_u64(digits, &n) || n > type->max / unit || n * unit < type->min) {
        snprintf(why, sizeof(why), "is not a %s from %llu to %llu",
                 type->kind == SETTING_SIZE ? "size (such as 512m)" : "number",
                 (unsigned long long)type->min, (unsigned long long)type->max);
        return rule_refuse(value, why, e);
    }
    if (type->kind == SETTING_SIZE)
        *(uint64_t *)field(s, type->at) = n * unit;
    else
        *(unsigned *)field(s, type->at) = (unsigned)n;
    return 0;
}

/* The CPUs that this process may run on, within what SETTING_WORKERS allows. */
static unsigned count_cpus(const struct setting_type *type)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    if (n < 1)
        return 1;
    return (uint64_t)n > type->max ? (unsigned)type->max : (unsigned)n;
}

static int put_log(struct settings *s, const struct setting_type *type, struct str value,
                   struct error *e)
{
    struct buf word = BUF_INIT(64);
    int rc = 0;

    if (type->kind == SETTING_LOG_FORMAT) {
        rc = check_words((const char *const[]){"auto", "text", "json", NULL}, value, e);
        for (size_t i = 0; rc == 0 && i < ARRAY_LENGTH(format_words); i++)
            if (str_equal_cstr(value, format_words[i]))
                *(enum log_format *)field(s, type->at) = (enum log_format)i;
        return rc;
    }
    buf_str(&word, value);
    if (!word.data || word.failed || log_level_from(word.data, field(s, type->at)))
        rc = rule_refuse(value,
                         "is not one of debug, info, notice, warn, error, crit, alert, emerg", e);
    buf_free(&word);
    return rc;
}

static int put_scalar(struct settings *s, const struct setting_type *type, struct str value,
                      struct error *e)
{
    switch (type->kind) {
    case SETTING_TEXT:
        return put_text(s, type, value, e);
    case SETTING_SWITCH:
        return put_switch(s, type, value, e);
    case SETTING_WORKERS:
        if (str_equal_cstr(value, "auto")) {
            *(unsigned *)field(s, type->at) = count_cpus(type);
            return 0;
        }
        return put_number(s, type, value, e);
    case SETTING_NUMBER:
    case SETTING_SIZE:
        return put_number(s, type, value, e);
    case SETTING_LOG_LEVEL:
    case SETTING_LOG_FORMAT:
        return put_log(s, type, value, e);
    default:
        return value.len ? check_text(type, value, e) : 0;
    }
}

static bool is_listen(enum setting_kind kind)
{
    return kind == SETTING_HTTP_LISTEN || kind == SETTING_STREAM_LISTEN;
}

static bool is_list(enum setting_kind kind)
{
    return kind == SETTING_LIST || kind == SETTING_WORDS || kind == SETTING_PORT_MAPS ||
           is_listen(kind);
}

static int put_items(struct settings *s, const struct setting_type *type, const struct str *items,
                     size_t count, struct error *e)
{
    switch (type->kind) {
    case SETTING_LIST:
    case SETTING_WORDS:
        return put_texts(s, type, items, count, e);
    case SETTING_PORT_MAPS:
        return put_port_maps(s, type, items, count, e);
    default:
        return put_listens(s, type, items, count, e);
    }
}

static int name_row(const struct settings_row *row, int rc, struct error *e)
{
    if (rc)
        snprintf(e->path, sizeof(e->path), "%s", row->name);
    return rc;
}

int setting_read(struct settings *s, const struct settings_row *row, struct str text,
                 struct error *e)
{
    const struct setting_type *type = row->type;
    struct item_list items = {0};
    int rc;

    if (is_list(type->kind)) {
        rc = split(text, type->kind == SETTING_WORDS ? ' ' : ',', &items, e);
        if (rc == 0)
            rc = put_items(s, type, items.items, items.len, e);
        vec_free(&items);
    } else {
        rc = put_scalar(s, type, text, e);
    }
    if (rc == 0 && type->stated_at)
        *(bool *)field(s, type->stated_at) = true;
    return name_row(row, rc, e);
}

int setting_read_default(struct settings *s, const struct settings_row *row, struct error *e)
{
    if (setting_read(s, row, str_from(row->value), e))
        return -1;
    if (is_listen(row->type->kind)) {
        struct settings_listens *list = field(s, row->type->at);
        for (size_t i = 0; i < list->count; i++)
            list->items[i].is_default = true;
    }
    if (row->type->stated_at)
        *(bool *)field(s, row->type->stated_at) = false;
    return 0;
}

int setting_put_list(struct settings *s, const struct settings_row *row, const char *const *items,
                     struct error *e)
{
    struct item_list views = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && items[i]; i++)
        rc = vec_push(&views, str_from(items[i])) ? error_memory(e) : 0;
    if (rc == 0 && views.len > SETTINGS_ITEMS_MAX)
        rc = error_set(e, ERROR_USAGE, "more than %d entries", SETTINGS_ITEMS_MAX);
    if (rc == 0)
        rc = put_items(s, row->type, views.items, views.len, e);
    vec_free(&views);
    return name_row(row, rc, e);
}

static size_t count_items(const struct settings *s, const struct setting_type *type)
{
    const void *at = field_of(s, type->at);

    if (is_listen(type->kind)) {
        size_t count = ((const struct settings_listens *)at)->count;
        return count ? count : 1; /* an empty list is the one item "off" */
    }
    if (type->kind == SETTING_TEXT)
        return *(char *const *)at != NULL;
    return is_list(type->kind) ? *(const size_t *)field_of(s, type->count_at) : 1;
}

static void print_listen(const struct settings_listens *list, size_t i, struct buf *out)
{
    if (!list->count) {
        buf_cstr(out, "off");
        return;
    }
    if (list->items[i].is_default)
        buf_char(out, DEFAULT_MARK);
    listen_print(&list->items[i], out);
}

static void print_item(const struct settings *s, const struct setting_type *type, size_t i,
                       struct buf *out)
{
    const void *at = field_of(s, type->at);

    switch (type->kind) {
    case SETTING_TEXT:
        buf_cstr(out, *(char *const *)at);
        break;
    case SETTING_LIST:
    case SETTING_WORDS:
        buf_cstr(out, (*(char **const *)at)[i]);
        break;
    case SETTING_HTTP_LISTEN:
    case SETTING_STREAM_LISTEN:
        print_listen(at, i, out);
        break;
    case SETTING_PORT_MAPS:
        buf_printf(out, "%u:%u", (*(struct settings_port_map *const *)at)[i].outside,
                   (*(struct settings_port_map *const *)at)[i].inside);
        break;
    case SETTING_SWITCH:
        buf_cstr(out, *(const bool *)at ? "on" : "off");
        break;
    case SETTING_NUMBER:
    case SETTING_WORKERS:
        buf_printf(out, "%u", *(const unsigned *)at);
        break;
    case SETTING_SIZE:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case SETTING_LOG_LEVEL:
        buf_cstr(out, level_words[*(const enum log_level *)at]);
        break;
    case SETTING_LOG_FORMAT:
        buf_cstr(out, format_words[*(const enum log_format *)at]);
        break;
    case SETTING_CHECKED:
        break;
    }
}

void setting_store(const struct settings *s, const struct settings_row *row, struct buf *out)
{
    const struct setting_type *type = row->type;
    size_t count;

    if (type->kind == SETTING_CHECKED ||
        (type->stated_at && !*(const bool *)field_of(s, type->stated_at)))
        return;
    count = count_items(s, type);
    buf_printf(out, "%s %zu\n", row->name, count);
    for (size_t i = 0; i < count; i++) {
        struct buf text = BUF_SECRET(SETTINGS_CONFIG_STRING_MAX + 1);
        print_item(s, type, i, &text);
        buf_printf(out, "%zu\n", text.len);
        buf_str(out, buf_view(&text));
        buf_char(out, '\n');
        out->failed |= text.failed;
        buf_free(&text);
    }
}

static int load_listens(struct settings *s, const struct setting_type *type,
                        const struct str *items, size_t count, struct error *e)
{
    struct settings_listens *list = field(s, type->at);
    struct item_list views = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool marked = items[i].len && items[i].ptr[0] == DEFAULT_MARK;
        rc = vec_push(&views, str_slice(items[i], marked, items[i].len)) ? error_memory(e) : 0;
    }
    if (rc == 0)
        rc = put_listens(s, type, views.items, count, e);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        list->items[i].is_default = items[i].ptr[0] == DEFAULT_MARK;
    vec_free(&views);
    return rc;
}

int setting_load(struct settings *s, const struct settings_row *row, const struct str *items,
                 size_t count, struct error *e)
{
    const struct setting_type *type = row->type;
    int rc;

    if (is_listen(type->kind))
        rc = load_listens(s, type, items, count, e);
    else if (is_list(type->kind))
        rc = put_items(s, type, items, count, e);
    else
        rc = put_scalar(s, type, count ? items[0] : STR(""), e);
    if (rc == 0 && type->stated_at)
        *(bool *)field(s, type->stated_at) = true;
    return name_row(row, rc, e);
}

void setting_fini(struct settings *s, const struct settings_row *row)
{
    const struct setting_type *type = row->type;

    switch (type->kind) {
    case SETTING_TEXT:
        free_text(*(char **)field(s, type->at));
        *(char **)field(s, type->at) = NULL;
        break;
    case SETTING_LIST:
    case SETTING_WORDS:
        free_texts(*(char ***)field(s, type->at));
        *(char ***)field(s, type->at) = NULL;
        break;
    case SETTING_PORT_MAPS:
        free(*(struct settings_port_map **)field(s, type->at));
        *(struct settings_port_map **)field(s, type->at) = NULL;
        break;
    default:
        break;
    }
}
