#include "reconciler/core/explain.h"

#include <string.h>

#include "reconciler/base/json_out.h"
#include "reconciler/core/explain_chain.h"
#include "reconciler/core/render.h"

struct str explain_normal_name(struct str name, struct arena *arena)
{
    struct str rest;
    char *room;

    name = str_trim(name);
    if (name.len && name.ptr[0] != '[' && str_find(name, ':', 0) < name.len) {
        struct str host = str_cut(name, ':', &rest);
        uint64_t port;
        name = str_to_u64(rest, &port) ? host : name;
    }
    room = arena_alloc(arena, name.len + 1);
    return room ? hostname_lower(name, room) : STR_NONE;
}

bool explain_is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!hostname_is_byte(name.ptr[i]) && !strchr("*:[]", name.ptr[i]))
            return false;
    return name.len > 0;
}

/* What is told next is of this key family of the name. */
static void turn_to(struct explain_subject *s, enum key_family family)
{
    const struct explain_options *o = s->options;
    const struct subject subject = {s->name, family};
    const struct action *planned = plan_find(o->plan, subject);

    s->desired = desired_find(o->desired, subject);
    s->observed =
        subject_find(o->observed->names, o->observed->count, sizeof(*s->observed), subject);
    s->action =
        planned ? *planned : (struct action){.action = PLAN_NOTHING, .wanted = PLAN_NOTHING};
}

/* The first family's unless only a further one is good. */
static void choose(struct explain_subject *s)
{
    const struct explain_options *o = s->options;
    struct explain_choice choice;
    bool is_managed = false;

    for (int family = FAMILY_COUNT - 1; family >= FAMILY_FIRST; family--) {
        turn_to(s, (enum key_family)family);
        choice = explain_choose(o->model, s->name, s->observed, o->policy, o->now);
        if (!is_managed)
            s->choice = choice;
        is_managed |= choice.served == SERVED_MANAGED;
    }
}

/* Looks everything up; -1 when memory is out. */
static int look(struct explain_subject *s, struct str name)
{
    const struct explain_options *o = s->options;

    s->arena = arena_new(NULL);
    s->name = s->arena ? explain_normal_name(name, s->arena) : STR_NONE;
    if (!s->name.ptr)
        return -1;
    s->left_alone = desired_find_left_alone(o->desired, s->name);
    s->gate = gate_ask(o->model->acme, s->name, &s->gate_entry);
    choose(s);
    s->chain.model = o->model;
    for (size_t i = 0; i < o->model->sni_count && !s->declared; i++)
        if (str_equal(o->model->snis[i].name.value, s->name))
            s->declared = &o->model->snis[i];
    return 0;
}

static void say(struct explain_subject *s)
{
    for (int family = FAMILY_FIRST; family < FAMILY_COUNT; family++) {
        turn_to(s, (enum key_family)family);
        if (family == FAMILY_FIRST || s->observed || s->desired)
            explain_chain_say(s, (enum key_family)family);
    }
    turn_to(s, FAMILY_FIRST);
}

static void forget(struct explain_subject *s)
{
    explanation_fini(&s->chain);
    arena_free(s->arena);
}

static const char *state_of(const struct explain_subject *s)
{
    return s->action.action == PLAN_NOTHING ? "not managed"
                                            : plan_state(&s->action, s->options->now);
}

int explain_name_text(struct str name, const struct explain_options *options, struct buf *out,
                      struct error *e)
{
    struct explain_subject s = {.options = options};
    bool done = false;

    if (look(&s, name) == 0) {
        say(&s);
        render_outside(s.name, out);
        buf_printf(out, ": %s\n", state_of(&s));
        done = explanation_print_text(&s.chain, out);
    }
    forget(&s);
    return done ? 0 : error_memory(e);
}

static const char *served_word(enum explain_served served)
{
    static const char *const words[] = {
        [SERVED_MANAGED] = "managed",
        [SERVED_MANAGED_STALE] = "managed",
        [SERVED_EXACT] = "exact",
        [SERVED_FIRST_WILDCARD] = "first_wildcard",
        [SERVED_LAST_WILDCARD] = "last_wildcard",
        [SERVED_STAR] = "star",
        [SERVED_DEFAULT] = "default",
    };

    return words[served];
}

static void json_next(struct json_out *j, const struct explain_subject *s)
{
    const struct action *a = &s->action;
    struct str text;

    json_out_key(j, "next");
    if (a->action == PLAN_NOTHING) {
        json_out_null(j);
        return;
    }
    text = plan_reason_text(a, s->options->now, s->arena);
    json_out_object(j);
    json_out_member_cstr(j, "action",
                         plan_action_name(a->action == PLAN_KEEP ? PLAN_RENEW : a->wanted));
    json_out_member_time(j, "at", a->at);
    json_out_member_object(j, "because");
    json_out_member_cstr(j, "reason", plan_reason_id(a->reason));
    json_out_member_str(j, "text", text);
    json_out_end(j);
    json_out_end(j);
}

int explain_name_json(struct str name, const struct explain_options *options, struct buf *out,
                      struct error *e)
{
    struct explain_subject s = {.options = options};
    struct json_out j = json_out_pretty(out);
    bool done = false;

    if (look(&s, name) == 0) {
        say(&s);
        json_out_object(&j);
        json_out_member_int(&j, "format", 1);
        json_out_member_str(&j, "name", s.name);
        json_out_member_cstr(&j, "state", state_of(&s));
        json_out_member_bool(&j, "desired", s.desired != NULL);
        json_out_member_cstr(&j, "served", served_word(s.choice.served));
        json_out_key(&j, "chain");
        done = explanation_print_json(&s.chain, &j);
        json_next(&j, &s);
        json_out_end(&j);
        buf_char(out, '\n');
    }
    forget(&s);
    return done && !out->failed ? 0 : error_memory(e);
}
