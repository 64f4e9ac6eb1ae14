#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/vec.h"
#include "reconciler/base/whole.h"
#include "conf.h"
#include "kong_name.h"
#include "row.h"
#include "rule.h"
#include "setting.h"

#define VARIABLE_PREFIX "KONG_"
#define OWN_PREFIX "acme_"
#define PACK_HEAD "reconcert settings 1\n"
#define PACK_BYTES_MAX (SETTINGS_CONFIG_STRING_MAX + ((size_t)64 << 20))
#define ROOT_PREFIX "/var/lib/reconcert"
#define STATE_FOLDER "/reconcert"
#define HOME_STATE_FOLDER "/.local/state/reconcert"

/* What counts for one row: the last layer that stated it. */
struct winner {
    struct str value;
    const char *file; /* NULL = not from a file */
    uint32_t line;
    const char *layer; /* for a message: "" for a file; NULL = nothing stated it */
};

/* A name and its value as one layer states it. */
struct statement {
    struct str name, value;
    const char *file;
    uint32_t line;
    const char *layer;
    bool is_variable, is_assignment;
};

struct note_list vec(char *);

struct reading {
    struct settings *s;
    struct arena *arena;
    struct winner *winners; /* one for each row */
    struct note_list notes;
};

static int note(struct reading *r, struct str name, const char *why, struct error *e)
{
    struct buf text = BUF_INIT(ERROR_MESSAGE_MAX);
    char *copy = NULL;
    int rc = 0;

    buf_str(&text, str_slice(name, 0, 100));
    buf_printf(&text, ": %s", why);
    for (size_t i = 0; i < r->notes.len; i++)
        if (str_equal_cstr(buf_view(&text), r->notes.items[i]))
            goto out;
    if (r->notes.len == SETTINGS_NOTES_MAX)
        goto out;
    copy = str_dup(buf_view(&text));
    if (!copy || vec_push(&r->notes, copy)) {
        free(copy);
        rc = error_memory(e);
    }
out:
    buf_free(&text);
    return rc;
}

static int place(const struct statement *st, int rc, struct error *e)
{
    if (rc == 0)
        return 0;
    if (st->file)
        snprintf(e->file, sizeof(e->file), "%s", st->file);
    e->line = st->line;
    if (!e->path[0])
        snprintf(e->path, sizeof(e->path), "%.*s", STR_ARG(st->name));
    return rc;
}

/* A name that is neither ours nor Kong's. */
static int take_unknown(struct reading *r, const struct statement *st, struct error *e)
{
    const struct settings_row *near = row_near(st->name);
    const char *offer = near ? near->name : "";
    char why[128];

    if (st->is_variable && kong_name_is_service_link(st->name))
        return 0;
    snprintf(why, sizeof(why), "unknown setting%s%s%s", near ? "; did you mean " : "", offer,
             near ? "?" : "");
    if (!st->is_assignment && !str_starts(st->name, STR(OWN_PREFIX)))
        return note(r, st->name, why, e);
    return error_set(e, ERROR_USAGE, "is no setting%s%s%s%s", near ? "; did you mean " : "", offer,
                     near ? "?" : "", st->layer ? st->layer : "");
}

/* Kong's word for "not set". */
static struct str without_none(struct str value)
{
    return str_equal_cstr(value, "NONE") ? STR("") : value;
}

static int take(struct reading *r, const struct statement *st, struct error *e)
{
    const struct settings_row *row = row_find(kong_name_resolve(st->name));
    const char *why = row ? NULL : kong_name_why_ignored(st->name);
    /* A document keeps its blanks: in YAML they mean something. */
    struct str value = row && row->type->is_long ? st->value : without_none(str_trim(st->value));
    char text[160];

    if (st->is_assignment && (kong_name_is_secret(st->name) || rule_is_pem(value)))
        return error_set(e, ERROR_USAGE,
                         "a secret on the command line is there for all users to see: "
                         "put it into the environment or a file");
    if (row) {
        r->winners[row - row_table()] =
            (struct winner){.value = value, .file = st->file, .line = st->line, .layer = st->layer};
        return 0;
    }
    if (!why)
        return take_unknown(r, st, e);
    if (!value.len)
        return 0;
    snprintf(text, sizeof(text), "ignored, %s", why);
    return note(r, st->name, text, e);
}

static int take_file(struct reading *r, const char *path, struct error *e)
{
    struct conf conf = {0};
    struct str text;
    int rc = 0;

    if (conf_read(path, r->arena, &text, e))
        return -1;
    if (conf_parse(text, r->arena, &conf, e)) {
        snprintf(e->file, sizeof(e->file), "%s", path);
        return -1;
    }
    for (size_t i = 0; rc == 0 && i < conf.len; i++) {
        struct statement st = {.name = conf.items[i].name,
                               .value = conf.items[i].value,
                               .file = path,
                               .line = conf.items[i].line,
                               .layer = ""};
        rc = place(&st, take(r, &st, e), e);
    }
    conf_free(&conf);
    return rc;
}

/* KONG_LOG_LEVEL -> log_level, in the arena. */
static struct str setting_of_variable(struct str variable, struct arena *a)
{
    char *name = arena_alloc(a, variable.len + 1);
    size_t skip = strlen(VARIABLE_PREFIX);

    if (!name)
        return STR_NONE;
    for (size_t i = skip; i < variable.len; i++)
        name[i - skip] = str_lower(variable.ptr[i]);
    return (struct str){name, variable.len - skip};
}

static int take_environment(struct reading *r, char *const *environment, struct error *e)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        struct str value, variable = str_cut(str_from(environment[i]), '=', &value);
        struct statement st = {.is_variable = true};

        if (!value.ptr || !str_starts(variable, STR(VARIABLE_PREFIX)) ||
            variable.len == strlen(VARIABLE_PREFIX))
            continue;
        st.name = setting_of_variable(variable, r->arena);
        st.value = value;
        st.layer = arena_printf(r->arena, " (%.*s)", STR_ARG(str_slice(variable, 0, 100))).ptr;
        if (!st.name.ptr || !st.layer)
            return error_memory(e);
        if (place(&st, take(r, &st, e), e))
            return -1;
    }
    return 0;
}

static int take_assignments(struct reading *r, const char *const *assignments, struct error *e)
{
    for (size_t i = 0; assignments && assignments[i]; i++) {
        struct statement st = {.is_assignment = true, .layer = " (--set)"};

        st.name = str_trim(str_cut(str_from(assignments[i]), '=', &st.value));
        if (!st.value.ptr || !st.name.len)
            return error_set(e, ERROR_USAGE, "--set takes name=value");
        if (place(&st, take(r, &st, e), e))
            return -1;
    }
    return 0;
}

/* Where the value came from, if anybody stated it. Returns -1. */
static int place_winner(const struct winner *w, struct error *e)
{
    if (w->file)
        snprintf(e->file, sizeof(e->file), "%s", w->file);
    e->line = w->line;
    return error_suffix(e, "%s", w->layer ? w->layer : "");
}

static int apply_row(struct reading *r, const struct settings_row *row, const struct winner *w,
                     struct error *e)
{
    if (!w->layer || !w->value.len)
        return setting_read_default(r->s, row, e);
    return setting_read(r->s, row, w->value, e) ? place_winner(w, e) : 0;
}

/* A setting whose part comes later is noted when somebody wants something else than its default. */
static int note_later(struct reading *r, const struct settings_row *row, const struct winner *w,
                      struct error *e)
{
    if (!row->comes_later || !w->layer || !w->value.len || str_equal_cstr(w->value, row->value))
        return 0;
    if (strcmp(row->name, "admin_listen") == 0 && str_equal_cstr(w->value, "off"))
        return 0;
    return note(r, str_from(row->name), "checked; its part comes later", e);
}

static int apply(struct reading *r, struct error *e)
{
    for (size_t i = 0; i < row_count(); i++) {
        const struct settings_row *row = &row_table()[i];
        if (apply_row(r, row, &r->winners[i], e) || note_later(r, row, &r->winners[i], e))
            return -1;
    }
    return 0;
}

static const struct winner *winner_of(const struct reading *r, const char *name)
{
    return &r->winners[row_find(str_from(name)) - row_table()];
}

static bool is_stated(const struct reading *r, const char *name)
{
    const struct winner *w = winner_of(r, name);

    return w->layer && w->value.len;
}

static int refuse_row(const struct reading *r, const char *name, const char *why, struct error *e)
{
    error_set(e, ERROR_USAGE, "%s", why);
    snprintf(e->path, sizeof(e->path), "%s", name);
    return place_winner(winner_of(r, name), e);
}

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; environment && environment[i]; i++)
        if (strncmp(environment[i], name, len) == 0 && environment[i][len] == '=')
            return environment[i] + len + 1;
    return NULL;
}

static int choose_prefix(const struct reading *r, const struct settings_input *input,
                         struct error *e)
{
    struct settings *s = r->s;
    const char *state = variable(input->environment, "XDG_STATE_HOME");
    const char *home = variable(input->environment, "HOME");
    struct buf path = BUF_INIT(SETTINGS_VALUE_MAX);
    int rc = 0;

    if (s->prefix)
        buf_cstr(&path, s->prefix);
    else if (input->is_root)
        buf_cstr(&path, ROOT_PREFIX);
    else if (state && state[0] == '/') /* XDG Base Directory: a relative one is to be ignored */
        buf_printf(&path, "%s" STATE_FOLDER, state);
    else if (home && home[0] == '/')
        buf_printf(&path, "%s" HOME_STATE_FOLDER, home);
    else
        rc = refuse_row(r, "prefix", "must be set where neither XDG_STATE_HOME nor HOME is", e);
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    if (rc == 0) {
        char *copy = str_dup(buf_view(&path));
        if (copy) {
            free(s->prefix);
            s->prefix = copy;
        }
        rc = copy ? 0 : error_memory(e);
    }
    buf_free(&path);
    return rc;
}

static int choose_files(const struct reading *r, const struct settings_input *input,
                        struct error *e)
{
    struct settings *s = r->s;

    if (input->files && input->files[0]) {
        free(s->declarative_config_string);
        s->declarative_config_string = NULL;
        return setting_put_list(s, row_find(STR("declarative_config")), input->files, e);
    }
    if (s->declarative_config_count && s->declarative_config_string)
        return refuse_row(r, "declarative_config_string",
                          "cannot be set beside declarative_config: one of them is the file", e);
    return 0;
}

/* Mozilla's "Server Side TLS", version 5.7, as Kong takes it. */
static const struct suite {
    const char *name, *protocols, *ciphers;
    bool prefer;
} suites[] = {
    {"modern", "TLSv1.3", "", false},
    {"intermediate", "TLSv1.2 TLSv1.3",
     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
     "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
     "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305",
     false},
    {"old", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
     "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
     "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
     "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305:"
     "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:"
     "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"
     "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:"
     "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA",
     true},
    {"fips", "TLSv1.2", "TLSv1.2+FIPS:kRSA+FIPS:!eNULL:!aNULL", true},
};

/* As in Kong: a named suite decides all three; what is stated beside it counts for "custom" only.
 */
static int choose_ciphers(struct reading *r, struct error *e)
{
    static const char *const overruled[] = {"ssl_protocols", "ssl_ciphers",
                                            "ssl_prefer_server_ciphers"};

    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        if (strcmp(r->s->ssl_cipher_suite, suites[i].name) != 0)
            continue;
        for (size_t k = 0; k < ARRAY_LENGTH(overruled); k++)
            if (is_stated(r, overruled[k]) &&
                note(r, str_from(overruled[k]), "counts only with ssl_cipher_suite = custom", e))
                return -1;
        r->s->ssl_prefer_server_ciphers = suites[i].prefer;
        if (setting_read(r->s, row_find(STR("ssl_protocols")), str_from(suites[i].protocols), e))
            return -1;
        return setting_read(r->s, row_find(STR("ssl_ciphers")), str_from(suites[i].ciphers), e);
    }
    return 0;
}

/* TLS before 1.2 is not spoken here, whatever the suite (RFC 8996). */
static int drop_old_protocols(struct reading *r, struct error *e)
{
    struct settings *s = r->s;
    size_t kept = 0;

    for (size_t i = 0; i < s->ssl_protocol_count; i++) {
        char *p = s->ssl_protocols[i];
        if (strcmp(p, "TLSv1.2") == 0 || strcmp(p, "TLSv1.3") == 0) {
            s->ssl_protocols[kept++] = p;
            continue;
        }
        free(p);
        s->ssl_protocols[i] = NULL;
    }
    if (kept == s->ssl_protocol_count)
        return 0;
    for (size_t i = kept; i < s->ssl_protocol_count; i++)
        s->ssl_protocols[i] = NULL;
    s->ssl_protocol_count = kept;
    if (!kept)
        return refuse_row(r, "ssl_protocols", "must have TLSv1.2 or TLSv1.3 in it", e);
    return note(r, STR("ssl_protocols"), "TLS before 1.2 is not served here (RFC 8996)", e);
}

static int check_status_listen(const struct reading *r, struct error *e)
{
    const struct settings *s = r->s;

    for (size_t i = 0; i < s->status_listen.count; i++)
        if (s->status_listen.items[i].ssl || s->status_listen.items[i].http2 ||
            s->status_listen.items[i].proxy_protocol)
            return refuse_row(r, "status_listen",
                              "ssl, http2 and proxy_protocol are not in this build yet", e);
    return 0;
}

/* The one that has too few is named; where nobody stated it, the other one has a place. */
static int check_pairs(const struct reading *r, struct error *e)
{
    bool lacks_key = r->s->ssl_cert_count > r->s->ssl_cert_key_count;
    const char *name = lacks_key ? "ssl_cert_key" : "ssl_cert";

    if (r->s->ssl_cert_count == r->s->ssl_cert_key_count)
        return 0;
    refuse_row(r, name, "ssl_cert and ssl_cert_key must have the same number of entries", e);
    return is_stated(r, name)
               ? -1
               : place_winner(winner_of(r, lacks_key ? "ssl_cert" : "ssl_cert_key"), e);
}

static int check_together(struct reading *r, const struct settings_input *input, struct error *e)
{
    if (check_pairs(r, e) || check_status_listen(r, e) || choose_ciphers(r, e) ||
        drop_old_protocols(r, e) || choose_prefix(r, input, e))
        return -1;
    return choose_files(r, input, e);
}

int settings_read(struct settings *s, const struct settings_input *input, struct error *e)
{
    struct reading r = {.s = s, .arena = arena_new(&(struct arena_options){.secret = true})};
    int rc = -1;

    memset(s, 0, sizeof(*s));
    memset(e, 0, sizeof(*e));
    if (r.arena)
        r.winners = arena_array(r.arena, row_count(), sizeof(*r.winners));
    if (!r.winners) {
        error_memory(e);
        goto out;
    }
    if ((input->file && take_file(&r, input->file, e)) ||
        take_environment(&r, input->environment, e) || take_assignments(&r, input->assignments, e))
        goto out;
    if (apply(&r, e) || check_together(&r, input, e))
        goto out;
    rc = 0;
out:
    if (rc)
        e->kind = e->kind == ERROR_MEMORY ? ERROR_MEMORY : ERROR_USAGE;
    s->notes = r.notes.items;
    s->note_count = r.notes.len;
    arena_free(r.arena);
    return rc;
}

void settings_fini(struct settings *s)
{
    for (const struct settings_row *row = row_table(); row->name; row++)
        setting_fini(s, row);
    for (size_t i = 0; i < s->note_count; i++)
        free(s->notes[i]);
    free(s->notes);
    memset(s, 0, sizeof(*s));
}

const struct settings_row *settings_rows(void)
{
    return row_table();
}

int settings_pack(const struct settings *s, enum settings_reader reader, int fd, struct error *e)
{
    struct buf text = BUF_SECRET(PACK_BYTES_MAX);
    int rc = 0;

    buf_cstr(&text, PACK_HEAD);
    for (const struct settings_row *row = row_table(); row->name; row++)
        if (reader == SETTINGS_FOR_CONTROL || row->type->is_for_workers)
            setting_store(s, row, &text);
    if (text.failed)
        rc = error_memory(e);
    else if (whole_write_at(fd, buf_view(&text), 0))
        rc = error_errno(e, ERROR_IO, errno, "settings for a child");
    buf_free(&text);
    return rc;
}

/* The number in front of the next line's end; false where there is none. */
static bool take_number(struct str *rest, uint64_t *n)
{
    return rest->ptr && str_to_u64(str_cut(*rest, '\n', rest), n);
}

static bool take_items(struct str *rest, struct str *items, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t len;
        if (!take_number(rest, &len) || !rest->ptr || len >= rest->len || rest->ptr[len] != '\n')
            return false;
        items[i] = str_slice(*rest, 0, len);
        *rest = str_slice(*rest, len + 1, rest->len);
    }
    return true;
}

static int unpack(struct settings *s, struct str text, struct error *e)
{
    struct str rest = str_slice(text, strlen(PACK_HEAD), text.len), count_text;
    struct str *items = calloc(SETTINGS_ITEMS_MAX, sizeof(*items));
    int rc = 0;

    if (!items)
        return error_memory(e);
    if (!str_starts(text, STR(PACK_HEAD)))
        rc =
            error_set(e, ERROR_SYNTAX, "settings from the supervisor: not in a form that is known");
    while (rc == 0 && rest.len) {
        struct str head = str_cut(rest, '\n', &rest);
        const struct settings_row *row = row_find(str_cut(head, ' ', &count_text));
        uint64_t count = 0;
        if (!str_to_u64(count_text, &count) || count > SETTINGS_ITEMS_MAX ||
            !take_items(&rest, items, count))
            rc = error_set(e, ERROR_SYNTAX, "settings from the supervisor: broken");
        else if (row)
            rc = setting_load(s, row, items, count, e);
    }
    free(items);
    return rc;
}

/* By pread: the offset belongs to all who have this descriptor. */
static int read_pack(int fd, struct buf *text, struct error *e)
{
    struct stat st;
    ssize_t got;

    if (fstat(fd, &st) || st.st_size < 0 || (uint64_t)st.st_size > PACK_BYTES_MAX ||
        !buf_reserve(text, (size_t)st.st_size + 1))
        return error_set(e, ERROR_IO, "settings from the supervisor: cannot be read");
    got = whole_read_at(fd, text->data, (size_t)st.st_size, 0);
    if (got != st.st_size)
        return error_set(e, ERROR_IO, "settings from the supervisor: cut short");
    buf_commit(text, (size_t)got);
    return 0;
}

int settings_unpack(struct settings *s, int fd, struct error *e)
{
    struct buf text = BUF_SECRET(PACK_BYTES_MAX + 1);
    int rc;

    memset(s, 0, sizeof(*s));
    memset(e, 0, sizeof(*e));
    rc = read_pack(fd, &text, e);
    for (const struct settings_row *row = row_table(); rc == 0 && row->name; row++)
        rc = setting_read_default(s, row, e);
    if (rc == 0)
        rc = unpack(s, buf_view(&text), e);
    buf_free(&text);
    return rc;
}

bool settings_approve(const struct settings *s)
{
    return s->acme_approve && strcmp(s->acme_approve, "off") != 0;
}

const char *settings_approve_file(const struct settings *s)
{
    return settings_approve(s) && strcmp(s->acme_approve, "on") != 0 ? s->acme_approve : NULL;
}

char *settings_approved_path(const struct settings *s)
{
    char *path = NULL;

    return asprintf(&path, "%s/" SETTINGS_APPROVED, s->prefix) < 0 ? NULL : path;
}
