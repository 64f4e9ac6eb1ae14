#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/client/ask.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/control/reading.h"
#include "reconciler/cli/verb.h"
#include "reconciler/control/observe.h"
#include "reconciler/admin/pages.h"
#include "reconciler/core/render.h"
#include "reconciler/storage/folder.h"
#include "reconciler/storage/sync.h"
#include "reconciler/store/store.h"

/* ---- with a server ---- */

static void print_line(const struct reading *r, const struct document_node *certificate,
                       struct buf *out)
{
    const struct document_node *next = reading_get(r, certificate, "next");
    struct str because = reading_text(r, reading_get(r, next, "because"), "text");

    render_outside(reading_text(r, certificate, "name"), out);
    buf_cstr(out, reading_number(r, certificate, "failures") ? ": " : ": nothing failed: ");
    render_outside(because, out);
    buf_char(out, '\n');
}

/* What came of it, name by name, as the server says it. */
static int print_text(const struct buf *body, struct str name, struct buf *out, struct error *e)
{
    const struct document_node *items;
    struct reading r;
    size_t count;
    int rc = reading_open(&r, buf_view(body), e);

    items = rc ? NULL : reading_list(&r, &r.root, "certificates", &count);
    for (size_t i = 0; items && i < count; i++)
        print_line(&r, &items[i], out);
    if (rc == 0 && !out->len && name.len)
        rc = error_set(e, ERROR_INVALID, "%.*s: the server knows of nothing that asks for it",
                       STR_ARG(name));
    else if (rc == 0 && !out->len)
        buf_cstr(out, "Nothing failed.\n");
    reading_close(&r);
    return rc;
}

static int retry_there(const struct command *c, const struct settings *s, struct str name,
                       struct error *e)
{
    struct buf body = BUF_INIT(STATUS_BODY_MAX), out = BUF_INIT(STATUS_BODY_MAX);
    int rc = ask_server_to(s->prefix, "/retry", name, &body, e);

    if (rc == 0)
        rc = print_text(&body, name, &out, e);
    if (rc == 0)
        rc = output_buf(c->options->format == OPTION_FORMAT_JSON ? &body : &out, e);
    buf_free(&body);
    buf_free(&out);
    return rc;
}

/* ---- without one ---- */

/* The storage while no server has it: what is put there, the next one finds. */
struct shelf {
    struct storage_sync *storage;
    struct observation observation;
};

/* Root writes as the prefix' owner: the server is no root. */
static int become_owner(const char *prefix, struct error *e)
{
    int directory = folder_open(prefix, false, e);
    struct stat st;
    int rc = directory < 0 ? -1 : fstat(directory, &st);

    if (directory >= 0)
        close(directory);
    if (rc == 0 && geteuid() == 0 && st.st_uid != 0)
        rc = setgroups(0, NULL) || setegid(st.st_gid) || seteuid(st.st_uid);
    return rc && directory >= 0 ? error_errno(e, ERROR_IO, errno, "%s", prefix) : rc;
}

static int take(void *context, const struct value *v, struct error *e)
{
    return store_meet(context, v, STR_NONE, clock_now(), e);
}

/* Fails where a server has it. */
static int open_shelf(const struct settings *s, struct shelf *shelf, struct error *e)
{
    const struct storage_options options = {.kind = STORAGE_FILE, .prefix = s->prefix};
    struct storage_problems problems = {0};

    if (become_owner(s->prefix, e) || observation_new(s, &shelf->observation, e))
        return -1;
    shelf->storage = storage_sync_open(&options, take, shelf->observation.store, &problems, e);
    storage_problems_free(&problems);
    return shelf->storage ? 0 : -1;
}

static void close_shelf(struct shelf *shelf)
{
    storage_sync_close(shelf->storage);
    observation_close(&shelf->observation);
}

static int waive(struct shelf *shelf, const struct store_name *n, bool is_json, struct buf *out,
                 struct error *e)
{
    struct json_out j = json_out_compact(out);
    struct value v;

    if (!store_failure_value(shelf->observation.store, n, &v))
        return 0;
    v.u.failure.waived = true;
    if (storage_sync_put(shelf->storage, &v, e))
        return -1;
    if (is_json) {
        buf_cstr(out, out->len ? ",\n    " : "");
        json_out_object(&j);
        json_out_member_str(&j, "name", n->subject.name);
        json_out_member_str(&j, "last_error", n->failure->failure.text);
        json_out_member_int(&j, "failures", n->failure->failure.count);
        json_out_end(&j);
        return 0;
    }
    buf_str(out, n->subject.name);
    buf_cstr(out, ": no server is running; the next one tries it at once\n");
    return 0;
}

static int print_waived(const struct buf *lines, bool is_json, struct str name, struct error *e)
{
    struct buf out = BUF_INIT(STATUS_BODY_MAX);
    int rc;

    if (is_json)
        buf_printf(&out, "{\n  \"format\": %d,\n  \"certificates\": [\n    ", PAGES_FORMAT);
    else if (!lines->len && name.len)
        buf_printf(&out, "%.*s: nothing failed\n", STR_ARG(name));
    else if (!lines->len)
        buf_cstr(&out, "Nothing failed.\n");
    buf_str(&out, buf_view(lines));
    buf_cstr(&out, is_json ? "\n  ]\n}\n" : "");
    rc = lines->failed ? error_memory(e) : output_buf(&out, e);
    buf_free(&out);
    return rc;
}

static int retry_here(const struct command *c, struct str name, struct shelf *shelf,
                      struct error *e)
{
    bool is_json = c->options->format == OPTION_FORMAT_JSON;
    struct buf lines = BUF_INIT(STATUS_BODY_MAX);
    struct store_name *const *names;
    size_t count = 0;
    int rc = 0;

    names = store_sorted(shelf->observation.store, &count);
    for (size_t i = 0; names && rc == 0 && i < count; i++)
        if (!name.len || str_equal(names[i]->subject.name, name))
            rc = waive(shelf, names[i], is_json, &lines, e);
    if (rc == 0)
        rc = print_waived(&lines, is_json, name, e);
    buf_free(&lines);
    return rc;
}

/* ---- the verb ---- */

/* Whoever holds the prefix' lock does it: a server, or nobody yet. */
static int retry(const struct command *c, const struct settings *s, struct str name,
                 struct error *e)
{
    struct shelf shelf = {0};
    struct error why;
    int rc;

    rc = open_shelf(s, &shelf, &why) ? retry_there(c, s, name, e) : retry_here(c, name, &shelf, e);
    close_shelf(&shelf);
    return rc;
}

/* The name to retry, empty for all. */
static int read_name(const struct command *c, struct arena *arena, struct str *name)
{
    struct error e;

    *name = STR("");
    if (option_seen(c->options, OPTION_ALL) != (c->operand_count > 0))
        return c->operand_count ? input_name(c, arena, name) : VERB_DONE;
    error_set(&e, ERROR_USAGE, "retry takes either NAME or --all");
    return verb_refuse(c->verb, &e);
}

static int retry_with_settings(const struct command *c, struct str name)
{
    struct settings s;
    struct error e;
    int code = input_settings(c, VERB_ANY, &s);

    if (code == VERB_DONE && retry(c, &s, name, &e))
        code = verb_fail(&e);
    settings_fini(&s);
    return code;
}

int retry_command(const struct command *c)
{
    struct arena *arena = arena_new(NULL);
    struct str name;
    int code = read_name(c, arena, &name);

    if (code == VERB_DONE)
        code = retry_with_settings(c, name);
    arena_free(arena);
    return code;
}
