#include "reconciler/cli/client/against.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/cli/client/ask.h"
#include "reconciler/cli/client/certificates_page.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/admin/status.h"

#define CERTIFICATES_PATH "/certificates"

struct against {
    /* a file, or nothing: */
    struct loaded *loaded;
    const struct desired *desired;
    int64_t now;
    /* a server: */
    struct certificates_page *page;
};

#define NOTHING "none" /* a file of that name is ./none */

static bool is_url(const char *what)
{
    return strncmp(what, "http://", 7) == 0 || strncmp(what, "https://", 8) == 0;
}

/* "http://127.0.0.1:8007" is asked for its certificates; a longer path is taken as it is. */
static char *page_url(const char *what)
{
    struct str url = str_from(what);
    size_t path = str_find(url, '/', str_find(url, ':', 0) + 3);
    bool is_bare = path + 1 >= url.len;
    struct buf out = BUF_INIT(strlen(what) + sizeof(CERTIFICATES_PATH));

    buf_str(&out, is_bare ? str_slice(url, 0, path) : url);
    buf_cstr(&out, is_bare ? CERTIFICATES_PATH : "");
    return out.data; /* the caller's */
}

static int open_server(struct against *a, const char *what, struct error *e)
{
    struct buf body = BUF_INIT(STATUS_BODY_MAX);
    char *url = page_url(what);
    char shown[ERROR_PATH_MAX];
    int rc = url ? ask_url(url, &body, e) : error_memory(e);

    if (rc == 0)
        rc = certificates_page_open(buf_view(&body), &a->page, e);
    if (rc && e->kind == ERROR_INVALID)
        error_prefix(e, "the answer of %s is not a list of certificates",
                     output_quote(what, shown, sizeof(shown)));
    buf_free(&body);
    free(url);
    return rc ? -1 : 0;
}

/* What that file asks for, under the settings of this one. */
static int open_file(struct against *a, const struct command *c, const struct settings *s,
                     const char *what, struct error *e)
{
    struct desired_options options = {.acme_server = str_from(s->acme_server)};
    char *paths[] = {(char *)what, NULL};
    struct settings with = *s;
    struct desired *desired;
    int code;

    with.declarative_config = paths;
    with.declarative_config_count = 1;
    code = input_load(c, &with, &a->loaded);
    e->message[0] = '\0'; /* said already */
    if (code != VERB_DONE)
        return -1;
    options.block = a->loaded->block;
    if (desired_make(a->loaded->model, &options, a->loaded->arena, &desired, e))
        return -1;
    a->desired = desired;
    return 0;
}

static int open_what(struct against *a, const struct command *c, const struct settings *s,
                     const char *what, struct error *e)
{
    static const struct desired nothing;

    a->desired = &nothing;
    if (strcmp(what, NOTHING) == 0)
        return 0;
    return is_url(what) ? open_server(a, what, e) : open_file(a, c, s, what, e);
}

int against_open(const struct command *c, const struct settings *s, const char *what, int64_t now,
                 struct against **against)
{
    struct against *a = calloc(1, sizeof(*a));
    struct error e;

    *against = a;
    if (a)
        a->now = now;
    if (a && open_what(a, c, s, what, &e) == 0)
        return VERB_DONE;
    if (!a)
        error_memory(&e);
    return verb_fail(&e);
}

void against_close(struct against *a)
{
    if (!a)
        return;
    load_free(a->loaded);
    certificates_page_close(a->page);
    free(a);
}

static int list_demands(void *context, int64_t now, struct arena *arena,
                        struct desired_options *options, struct error *e)
{
    const struct against *a = context;

    return a->page ? certificates_page_demands(a->page, now, arena, options, e) : 0;
}

static int observe(void *context, const struct policy *policy, struct arena *arena,
                   struct observed **observed, struct error *e)
{
    const struct against *a = context;
    struct observed *o = arena_alloc(arena, sizeof(*o));
    struct observed_name *names;

    if (a->page)
        return certificates_page_observe(a->page, policy, arena, observed, e);
    names = arena_array(arena, a->desired->count, sizeof(*names));
    if (!o || !names)
        return error_memory(e);
    for (size_t i = 0; i < a->desired->count; i++)
        if (a->desired->names[i].block == DESIRED_FREE)
            names[o->count++] =
                (struct observed_name){.subject = a->desired->names[i].subject,
                                       .has_certificate = true,
                                       .facts.not_before = a->now,
                                       .facts.not_after = a->now + AGAINST_LIFETIME_SECONDS - 1,
                                       .directory = a->desired->names[i].ca->directory,
                                       .facts.key_type = a->desired->key_type,
                                       .managed.active = true};
    o->names = names;
    o->storage_usable = true;
    *observed = o;
    return 0;
}

struct reconcile_source against_source(struct against *a)
{
    return (struct reconcile_source){list_demands, observe, a};
}
