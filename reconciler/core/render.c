#include "reconciler/core/render.h"

#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/clock.h"
#include "reconciler/core/budget.h"

/* With a flush function, the buffer is emptied when it holds this much. */
#define FLUSH_AT ((size_t)64 << 10)
/* One action at most: a name, a sentence and all its places (one host may stand in every route). */
#define ACTION_MAX ((size_t)1 << 30)
/* Places of one name on a line for people; JSON has all of them. */
#define PLACES_SHOWN 3

#define RESET "\033[0m"

struct verb {
    enum plan_action action;
    const char *doing; /* "issuing" a.example */
    const char *title; /* in the summary */
    const char *colour;
};

/* In the order in which people read them. */
static const struct verb verbs[] = {
    {PLAN_ISSUE, "issuing", "Issue", "\033[32m"},
    {PLAN_RENEW, "renewing", "Renew", "\033[33m"},
    {PLAN_ADOPT, "adopting", "Adopt", "\033[36m"},
    {PLAN_WAIT, "waiting to", "Wait", "\033[35m"},
    {PLAN_BLOCK, "blocked", "Block", "\033[31m"},
    {PLAN_RETIRE, "retiring", "Retire", "\033[31m"},
    {PLAN_KEEP, "keeping", "Keep", ""},
};

/* One rendering: where it goes, and room for sentences and single actions. */
struct sheet {
    const struct render_options *options;
    struct buf *out;
    struct buf sentence; /* also places */
    struct buf line;
};

void render_outside(struct str text, struct buf *out)
{
    while (text.ptr) {
        struct str rest, part = str_cut(text, '"', &rest);

        buf_escaped(out, part);
        if (rest.ptr)
            buf_char(out, '"');
        text = rest;
    }
}

void render_place_raw(const struct model *model, struct place place, struct buf *out)
{
    const char *file = place.file < model->file_count ? model->files[place.file] : "?";

    buf_printf(out, "%s:%u:%u", file, place.line, place.column);
}

void render_places_raw(const struct model *model, const struct place *places, size_t count,
                       struct buf *out)
{
    for (size_t i = 0; i < count && i < PLACES_SHOWN; i++) {
        buf_cstr(out, i ? ", " : "");
        render_place_raw(model, places[i], out);
    }
    if (count > PLACES_SHOWN)
        buf_printf(out, " and %zu more", count - PLACES_SHOWN);
}

void render_place(const struct model *model, struct place place, struct buf *out)
{
    const char *file = place.file < model->file_count ? model->files[place.file] : "?";

    buf_escaped(out, str_from(file));
    buf_printf(out, ":%u:%u", place.line, place.column);
}

static int flush(const struct sheet *s)
{
    if (s->out->failed)
        return -1;
    if (!s->options->flush || s->out->len < FLUSH_AT)
        return 0;
    return s->options->flush(s->options->context, s->out) ? -1 : 0;
}

/* The reason of `a` as it is; valid until the next call. */
static struct str sentence(struct sheet *s, const struct action *a)
{
    buf_clear(&s->sentence);
    plan_reason_print(a, s->options->now, &s->sentence);
    return buf_view(&s->sentence);
}

/* Where it is declared; valid until the next call. */
static struct str places(struct sheet *s, const struct desired_name *name)
{
    buf_clear(&s->sentence);
    if (name->place_count)
        render_places_raw(s->options->model, name->places, name->place_count, &s->sentence);
    else
        buf_cstr(&s->sentence, "on demand");
    return buf_view(&s->sentence);
}

static void print_places(const struct desired_name *name, struct sheet *s)
{
    buf_cstr(s->out, " (");
    buf_escaped(s->out, places(s, name));
    buf_char(s->out, ')');
}

/* " [orders 299/300, domain example.com 49/50]": what is left of each limit that it draws on. */
static void print_budget(const struct budget_note *note, struct buf *out)
{
    for (size_t i = 0; note && i < note->count; i++) {
        const struct budget_draw *draw = &note->draws[i];

        buf_printf(out, "%s%s", i ? ", " : " [", budget_scope_name(draw->scope));
        if (draw->scope == BUDGET_DOMAIN) {
            buf_char(out, ' ');
            buf_escaped(out, draw->of);
        }
        buf_printf(out, " %u/%u", draw->left, draw->count);
    }
    if (note && note->count)
        buf_char(out, ']');
}

static void print_action(const struct verb *verb, const struct action *a, struct sheet *s)
{
    struct buf *out = s->out;

    if (s->options->colour)
        buf_cstr(out, verb->colour);
    buf_cstr(out, verb->doing);
    if (a->action == PLAN_WAIT)
        buf_printf(out, " %s", plan_action_name(a->wanted));
    buf_char(out, ' ');
    buf_escaped(out, a->subject.name);
    if (s->options->colour)
        buf_cstr(out, RESET);
    if (a->desired)
        print_places(a->desired, s);
    buf_cstr(out, ": ");
    render_outside(sentence(s, a), out);
    if (a->overrides) {
        buf_cstr(out, "; overrides the certificate declared at ");
        render_place(s->options->model, a->desired->overrides->name.place, out);
    }
    print_budget(a->budget, out);
    buf_char(out, '\n');
}

static int print_group(const struct verb *verb, const struct plan *plan, struct sheet *s)
{
    if (!plan->counts[verb->action] || (verb->action == PLAN_KEEP && !s->options->verbose))
        return 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].action != verb->action)
            continue;
        print_action(verb, &plan->items[i], s);
        if (flush(s))
            return -1;
    }
    return 0;
}

/* Does any order say what it draws on? */
static bool has_brackets(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].budget && plan->items[i].budget->count)
            return true;
    return false;
}

static void print_summary(const struct plan *plan, int64_t now, struct buf *out)
{
    if (plan->counts[PLAN_KEEP] == plan->count)
        buf_cstr(out, "Nothing to do.\n");
    buf_cstr(out, plan->count ? "Summary:\n" : "");
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
        if (plan->counts[verbs[i].action])
            buf_printf(out, "  %s: %zu\n", verbs[i].title, plan->counts[verbs[i].action]);
    if (plan->override_count)
        buf_printf(out, "  Override: %zu\n", plan->override_count);
    if (has_brackets(plan))
        buf_cstr(out, "In brackets: what is left of each limit of the CA, of how much.\n");
    if (plan->next_at)
        buf_printf(out, "Next: %s\n",
                   plan->next_at <= now ? "now" : clock_text(plan->next_at).text);
}

int render_plan_text(const struct plan *plan, const struct render_options *options, struct buf *out)
{
    struct sheet s = {.options = options, .out = out, .sentence = BUF_INIT(ACTION_MAX)};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(verbs) && !rc; i++)
        rc = print_group(&verbs[i], plan, &s);
    print_summary(plan, options->now, out);
    buf_free(&s.sentence);
    return rc || out->failed ? -1 : 0;
}

/* Rows end here, so that what follows them still fits. */
#define COMMENT_ROWS_MAX (RENDER_COMMENT_MAX - 2000)

/*
 * Text from outside in a table's cell: CommonMark lets every punctuation character be escaped;
 * those that GitHub would make links of all the same become entities.
 */
static void markdown(struct str text, struct sheet *s)
{
    buf_clear(&s->line);
    render_outside(text, &s->line);
    for (size_t i = 0; i < s->line.len; i++) {
        char c = s->line.data[i];

        if (c == '@' || c == '#' || c == '<' || c == '&')
            buf_printf(s->out, "&#%d;", c);
        else if (strchr("\\`*_[]|~!>$", c))
            buf_printf(s->out, "\\%c", c);
        else
            buf_char(s->out, c);
    }
}

static void markdown_row(const struct action *a, struct sheet *s)
{
    buf_printf(s->out, "| %s | ", plan_action_name(a->action));
    markdown(a->subject.name, s);
    buf_cstr(s->out, " | ");
    if (a->action == PLAN_WAIT)
        buf_printf(s->out, "to %s: ", plan_action_name(a->wanted));
    markdown(sentence(s, a), s);
    if (a->overrides)
        buf_cstr(s->out, "; **overrides the declared certificate**");
    buf_clear(&s->sentence);
    print_budget(a->budget, &s->sentence);
    markdown(buf_view(&s->sentence), s);
    buf_cstr(s->out, " | ");
    if (a->desired)
        markdown(places(s, a->desired), s);
    buf_cstr(s->out, " |\n");
}

/* The rows of one action, while there is room; returns how many were left out. */
static size_t markdown_group(enum plan_action action, const struct plan *plan, struct sheet *s)
{
    size_t left_out = 0;

    for (size_t i = 0; plan->counts[action] && i < plan->count; i++) {
        size_t before = s->out->len;

        if (plan->items[i].action != action)
            continue;
        if (!left_out) {
            markdown_row(&plan->items[i], s);
            if (s->out->failed || s->out->len <= COMMENT_ROWS_MAX)
                continue;
            s->out->len = before;
        }
        left_out++;
    }
    return left_out;
}

static void markdown_title(const struct plan *plan, struct buf *out)
{
    const char *between = " ";

    buf_cstr(out, "### Certificates:");
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        size_t count = plan->counts[verbs[i].action];

        if (!count)
            continue;
        buf_printf(out, "%s%zu %s", between, count, plan_action_name(verbs[i].action));
        between = ", ";
    }
    if (plan->override_count)
        buf_printf(out, ", %zu override", plan->override_count);
    buf_cstr(out, plan->count ? "\n\n" : " none\n\n");
}

static void markdown_end(const struct plan *plan, struct sheet *s)
{
    buf_printf(s->out, "\nConfiguration %s, against ", s->options->sha256);
    markdown(s->options->against, s);
    if (plan->next_at)
        buf_printf(s->out, ", next at %s", clock_text(plan->next_at).text);
    if (s->options->hash)
        buf_printf(s->out, ", saved as plan %s", s->options->hash);
    buf_cstr(s->out, ".\n");
}

int render_plan_markdown(const struct plan *plan, const struct render_options *options,
                         struct buf *out)
{
    struct sheet s = {.options = options,
                      .out = out,
                      .sentence = BUF_INIT(ACTION_MAX),
                      .line = BUF_INIT(ACTION_MAX)};
    size_t left_out = 0;

    markdown_title(plan, out);
    if (plan->counts[PLAN_KEEP] < plan->count)
        buf_cstr(out, "| | Name | Why | Declared at |\n|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
        if (verbs[i].action != PLAN_KEEP)
            left_out += markdown_group(verbs[i].action, plan, &s);
    if (left_out)
        buf_printf(out, "\n... and %zu more.\n", left_out);
    markdown_end(plan, &s);
    buf_free(&s.sentence);
    buf_free(&s.line);
    return out->failed ? -1 : 0;
}

/* "kong.yaml:12:9" as a JSON string, which needs no escapes but JSON's own. */
static void json_place(struct json_out *j, struct place place, struct sheet *s)
{
    buf_clear(&s->sentence);
    render_place_raw(s->options->model, place, &s->sentence);
    json_out_str(j, buf_view(&s->sentence));
}

static void json_declared_at(struct json_out *j, const struct desired_name *name, struct sheet *s)
{
    json_out_member_array(j, "declared_at");
    for (size_t i = 0; name && i < name->place_count; i++)
        json_place(j, name->places[i], s);
    json_out_end(j);
}

static void json_because(struct json_out *j, struct sheet *s, const struct action *a)
{
    json_out_member_object(j, "because");
    json_out_member_cstr(j, "reason", plan_reason_id(a->reason));
    json_out_member_str(j, "text", sentence(s, a));
    json_out_end(j);
}

static void json_overrides(struct json_out *j, const struct action *a, struct sheet *s)
{
    const struct sni *sni = a->overrides ? a->desired->overrides : NULL;

    json_out_key(j, "overrides");
    if (!sni) {
        json_out_null(j);
        return;
    }
    json_out_object(j);
    json_out_member_str(j, "sni", sni->name.value);
    json_out_member_array(j, "declared_at");
    json_place(j, sni->name.place, s);
    json_out_end(j);
    json_out_end(j);
}

static void json_ca(struct json_out *j, const struct action *a)
{
    struct str ca = a->desired ? a->desired->ca->directory : a->observed->directory;

    json_out_member_str(j, "ca", ca.len ? ca : STR_NONE);
}

static void json_key_type(struct json_out *j, const struct action *a)
{
    enum key_type type = plan_key_type(a);

    json_out_member_cstr(j, "key_type", type == KEY_NONE ? NULL : key_type_name(type));
}

static void json_not_after(struct json_out *j, const struct action *a)
{
    bool has_certificate = a->observed && a->observed->has_certificate;

    json_out_member_time(j, "not_after", has_certificate ? a->observed->facts.not_after : 0);
}

static void json_budget(struct json_out *j, const struct budget_note *note)
{
    json_out_member_array(j, "budget");
    for (size_t i = 0; note && i < note->count; i++) {
        const struct budget_draw *draw = &note->draws[i];

        json_out_object(j);
        json_out_member_cstr(j, "limit", budget_scope_name(draw->scope));
        json_out_member_str(j, "of", draw->of);
        json_out_member_int(j, "max", draw->count);
        json_out_member_int(j, "seconds", draw->seconds);
        json_out_member_int(j, "left", draw->left);
        json_out_member_time(j, "fits_at", draw->fits_at);
        json_out_end(j);
    }
    json_out_end(j);
}

static void json_action(struct sheet *s, const struct action *a)
{
    struct json_out j = json_out_compact(&s->line);

    json_out_object(&j);
    json_out_member_cstr(&j, "action", plan_action_name(a->action));
    json_out_member_str(&j, "name", a->subject.name);
    json_because(&j, s, a);
    json_declared_at(&j, a->desired, s);
    json_overrides(&j, a, s);
    json_ca(&j, a);
    json_key_type(&j, a);
    json_not_after(&j, a);
    json_out_member_time(&j, "at", a->at);
    json_budget(&j, a->budget);
    json_out_end(&j);
}

void render_config_json(const struct render_file *files, size_t count, const char *sha256,
                        struct json_out *j)
{
    json_out_object(j);
    json_out_member_array(j, "files");
    for (size_t i = 0; i < count; i++) {
        json_out_object(j);
        json_out_member_cstr(j, "file", files[i].name);
        json_out_member_cstr(j, "sha256", files[i].sha256);
        json_out_end(j);
    }
    json_out_end(j);
    json_out_member_cstr(j, "sha256", sha256);
    json_out_end(j);
}

static void json_summary(struct json_out *j, const struct plan *plan)
{
    json_out_member_object(j, "summary");
    for (int action = 0; action < PLAN_ACTION_COUNT; action++)
        json_out_member_int(j, plan_action_name((enum plan_action)action),
                            (int64_t)plan->counts[action]);
    json_out_member_int(j, "override", (int64_t)plan->override_count);
    json_out_end(j);
}

/* One action a line: a plan is read with diff and grep too. */
static int json_actions(struct json_out *j, const struct plan *plan, struct sheet *s)
{
    json_out_member_array(j, "actions");
    for (size_t i = 0; i < plan->count; i++) {
        buf_clear(&s->line);
        json_action(s, &plan->items[i]);
        if (s->line.failed)
            return -1;
        json_out_raw(j, buf_view(&s->line));
        if (flush(s))
            return -1;
    }
    json_out_end(j);
    return 0;
}

int render_plan_json(const struct plan *plan, const struct render_options *options, struct buf *out)
{
    struct sheet s = {.options = options,
                      .out = out,
                      .sentence = BUF_INIT(ACTION_MAX),
                      .line = BUF_INIT(ACTION_MAX)};
    struct json_out j = json_out_pretty(out);
    int rc;

    json_out_object(&j);
    json_out_member_int(&j, "format", 1);
    json_out_key(&j, "config");
    render_config_json(options->files, options->file_count, options->sha256, &j);
    json_out_member_str(&j, "against", options->against);
    if (options->made_at)
        json_out_member_time(&j, "made_at", options->made_at);
    if (options->made_at && options->hash)
        json_out_member_cstr(&j, "hash", options->hash);
    rc = json_actions(&j, plan, &s);
    if (!rc) {
        json_summary(&j, plan);
        json_out_member_time(&j, "next_at", plan->next_at);
        json_out_end(&j);
        buf_char(out, '\n');
    }
    buf_free(&s.sentence);
    buf_free(&s.line);
    return rc || out->failed ? -1 : 0;
}

static void json_fingerprint(struct json_out *j, const struct observed_name *o)
{
    char hex[2 * sizeof(o->facts.fingerprint) + 1];

    str_hex(o->facts.fingerprint, sizeof(o->facts.fingerprint), hex);
    json_out_member_cstr(j, "fingerprint", hex);
}

static void json_certificate(struct json_out *j, const struct observed_name *o)
{
    if (!o || !o->has_certificate) {
        json_out_member_null(j, "issuer");
        json_out_member_null(j, "not_before");
        json_out_member_null(j, "not_after");
        json_out_member_null(j, "fingerprint");
        return;
    }
    json_out_member_str(j, "issuer", o->managed.issuer);
    json_out_member_time(j, "not_before", o->facts.not_before);
    json_out_member_time(j, "not_after", o->facts.not_after);
    json_fingerprint(j, o);
}

/* What comes next: for a kept certificate its renewal, for a wait what it waits to do. */
static enum plan_action next_action(const struct action *a)
{
    return a->action == PLAN_KEEP ? PLAN_RENEW : a->wanted;
}

/* What an order under way meets is newer than what the last one ended with. */
static struct str last_error(const struct observed_name *o)
{
    if (o && o->order_trouble.len)
        return o->order_trouble;
    return o && o->failure.count ? o->failure.text : STR_NONE;
}

void render_certificate_json(const struct action *a, const struct render_options *options,
                             struct json_out *j)
{
    struct sheet s = {.options = options, .sentence = BUF_INIT(ACTION_MAX)};
    const struct observed_name *o = a->observed;
    struct str in_use = options->desired->ca.directory;
    bool is_made = o && o->has_certificate; /* then ca and key type are the certificate's own */

    json_out_object(j);
    json_out_member_str(j, "name", a->subject.name);
    json_out_member_cstr(j, "state", plan_state(a, options->now));
    json_certificate(j, o);
    json_declared_at(j, a->desired, &s);
    json_out_member_object(j, "next");
    json_out_member_cstr(j, "action", plan_action_name(next_action(a)));
    json_out_member_time(j, "at", a->at);
    json_because(j, &s, a);
    json_out_end(j);
    json_out_member_str(j, "last_error", last_error(o));
    json_out_member_str(j, "ca", is_made && o->directory.len ? o->directory : in_use);
    json_out_member_cstr(j, "key_type",
                         key_type_name(is_made ? o->facts.key_type : options->desired->key_type));
    json_out_member_int(j, "failures", o ? (int64_t)o->failure.count : 0);
    json_out_end(j);
    buf_free(&s.sentence);
}
