#include "reference.h"

#include <string.h>

#include "reconciler/base/buf.h"
#include "spec/json.h"
#include "spec/names.h"
#include "spec/problem.h"

#define VARIABLE_NAME_MAX 1024

struct parts {
    struct str name, resource;
    struct str key;    /* "" and ptr NULL: the whole value */
    struct str prefix; /* ptr NULL: none is given */
    bool is_previous;
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* With %XX decoded. */
static void unescape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool is_escape =
            s.ptr[i] == '%' && i + 2 < s.len && hex(s.ptr[i + 1]) >= 0 && hex(s.ptr[i + 2]) >= 0;

        if (is_escape) {
            buf_char(out, (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2])));
            i += 2;
        } else {
            buf_char(out, s.ptr[i]);
        }
    }
}

static struct str option(struct str query, const char *name)
{
    while (query.ptr) {
        struct str value, pair = str_cut(query, '&', &query);
        struct str key = str_cut(pair, '=', &value);

        if (str_equal_cstr(key, name))
            return value;
    }
    return STR_NONE;
}

/* A version is a number, and only 2 means something: the one before. */
static bool parse_version(struct str version, bool *is_previous)
{
    uint64_t number = 1;

    if (version.ptr && !str_to_u64(version, &number))
        return false;
    *is_previous = number == 2;
    return true;
}

static bool parse(struct str reference, struct parts *p)
{
    struct str text = str_slice(reference, strlen("{vault://"), reference.len - 1);
    struct str version, query, path;

    text = str_cut(text, '#', &version);
    text = str_cut(text, '?', &query);
    p->name = str_cut(text, '/', &path);
    p->prefix = option(query, "prefix");
    p->resource = path;
    p->key = STR_NONE;
    for (size_t i = path.len; i-- > 0;)
        if (path.ptr[i] == '/') {
            p->resource = str_slice(path, 0, i);
            p->key = str_slice(path, i + 1, path.len);
            break;
        }
    return p->name.len && p->resource.len && parse_version(version, &p->is_previous);
}

static bool find_prefix(const struct reference_table *t, const struct parts *p, struct str *prefix)
{
    *prefix = STR_NONE;
    if (str_equal(p->name, STR("env"))) {
        *prefix = t->env_prefix;
        return true;
    }
    for (size_t i = 0; i < t->vault_count; i++)
        if (str_equal(t->vaults[i].name, p->name)) {
            *prefix = t->vaults[i].env_prefix;
            return true;
        }
    return false;
}

static struct str read_variable(const struct reference_table *t, const struct parts *p,
                                struct str prefix)
{
    struct buf name = BUF_INIT(VARIABLE_NAME_MAX);
    struct str value = STR_NONE;

    if (p->prefix.ptr)
        unescape(p->prefix, &name);
    else
        buf_str(&name, prefix);
    unescape(p->resource, &name);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        name.data[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    if (p->is_previous)
        buf_cstr(&name, "_PREVIOUS");
    if (!name.failed)
        value = t->environment(t->context, buf_view(&name));
    buf_free(&name);
    return value;
}

/* The string member `key` of the JSON object that `text` is. */
static struct str member_of(const struct reference_table *t, struct str text, struct str escaped)
{
    struct buf key = BUF_INIT(escaped.len);
    struct arena *scratch = arena_new(&(struct arena_options){.secret = true});
    struct document_node root;
    const struct document_node *found = NULL;
    struct problems ignored = {0};
    struct names names = {0};
    struct document_options options = {.names = &names,
                                       .strings = scratch,
                                       .nodes = scratch,
                                       .problems = &ignored,
                                       .limits = document_limits_default()};
    struct str value = STR_NONE;
    struct error e;

    if (!scratch || problems_init(&ignored) || names_init(&names, scratch))
        goto out;
    if (json_parse(&options, text, &root, &e) || root.kind != DOCUMENT_MAP)
        goto out;
    unescape(escaped, &key);
    found = document_get(&root, names_find(&names, buf_view(&key)));
    if (found && found->kind == DOCUMENT_STRING)
        value = arena_str(t->arena, document_text(found));
out:
    buf_free(&key);
    names_fini(&names);
    problems_fini(&ignored);
    arena_free(scratch);
    return value;
}

struct str reference_resolve(const struct reference_table *t, struct str reference)
{
    struct str prefix, value;
    struct parts parts;

    if (!t->is_on || !t->environment || !parse(reference, &parts) ||
        !find_prefix(t, &parts, &prefix))
        return STR_NONE;
    value = read_variable(t, &parts, prefix);
    if (!value.len)
        return STR_NONE;
    value = parts.key.len ? member_of(t, value, parts.key) : arena_str(t->arena, value);
    return value.len ? value : STR_NONE;
}
