#include "reconciler/core/simulate.h"

#include "reconciler/base/vec.h"
#include "reconciler/cli/dry_run.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/cli/verb.h"
#include "reconciler/cli/text/simulate_text.h"

#define SIMULATE_DAYS_DEFAULT 90
/* Every name may be at risk. */
#define SIMULATE_OUTPUT_MAX ((size_t)1 << 30)

/* *n stays as it is where the option was not given. */
static int read_number(const struct options *o, enum option_id id, uint64_t min, uint64_t max,
                       uint64_t *n, struct error *e)
{
    const char *text = o->values[id];
    char quoted[ERROR_PATH_MAX];
    uint64_t value;

    if (!text)
        return 0;
    if (!str_to_u64(str_from(text), &value) || value < min || value > max)
        return error_set(e, ERROR_USAGE, "--%s takes a number from %llu to %llu, not \"%s\"",
                         option_rows()[id].name, (unsigned long long)min, (unsigned long long)max,
                         output_quote(text, quoted, sizeof(quoted)));
    *n = value;
    return 0;
}

static int read_outages(const struct options *o, struct simulate_options *s, struct error *e)
{
    char quoted[ERROR_PATH_MAX];

    if (o->outage_count > SIMULATE_OUTAGES_MAX)
        return error_set(e, ERROR_USAGE, "--ca-outage may be given %d times", SIMULATE_OUTAGES_MAX);
    for (size_t i = 0; i < o->outage_count; i++)
        if (!simulate_parse_outage(str_from(o->outages[i]), &s->outages[s->outage_count++]))
            return error_set(e, ERROR_USAGE,
                             "--ca-outage takes a time and a day such as 3d@10, not \"%s\"",
                             output_quote(o->outages[i], quoted, sizeof(quoted)));
    return 0;
}

static int read_options(const struct options *o, struct simulate_options *s, uint64_t *seed,
                        struct error *e)
{
    const char *lifetime = o->values[OPTION_LIFETIME];
    uint64_t days = SIMULATE_DAYS_DEFAULT;
    char quoted[ERROR_PATH_MAX];

    if (read_number(o, OPTION_DAYS, 1, SIMULATE_DAYS_MAX, &days, e) ||
        read_number(o, OPTION_SEED, 0, UINT64_MAX, seed, e))
        return -1;
    s->days = (unsigned)days;
    if (lifetime && !simulate_parse_duration(str_from(lifetime), &s->lifetime))
        return error_set(e, ERROR_USAGE, "--lifetime takes a time such as 45d or 160h, not \"%s\"",
                         output_quote(lifetime, quoted, sizeof(quoted)));
    return read_outages(o, s, e);
}

/* Every order, for --verbose. */
struct sequence {
    struct vec(struct simulate_order) orders;
    bool failed;
};

static void on_order(void *context, int64_t at, const struct action *a, bool succeeded)
{
    struct sequence *s = context;
    const struct simulate_order order = {.at = at,
                                         .name = a->subject.name,
                                         .is_renewal = a->action == PLAN_RENEW,
                                         .failed = !succeeded};

    s->failed |= vec_push(&s->orders, order) != 0;
}

static int simulate(const struct dry_run *d, const struct command *c, struct simulate_options *s)
{
    struct buf out = BUF_INIT(SIMULATE_OUTPUT_MAX);
    struct sequence sequence = {0};
    struct simulation *simulation;
    struct error e;
    int rc;

    s->desired = d->seen.desired;
    s->observed = d->seen.observed;
    s->rules = &d->seen.rules;
    s->now = d->now;
    if (option_seen(c->options, OPTION_VERBOSE)) {
        s->ordered = on_order;
        s->context = &sequence;
    }
    rc = simulate_run(s, d->loaded->arena, &simulation, &e);
    if (rc == 0) {
        simulation->sequence = sequence.orders.items;
        rc = sequence.failed || (c->options->format == OPTION_FORMAT_JSON
                                     ? simulate_text_print_json(simulation, &out)
                                     : simulate_text_print(simulation, &out))
                 ? error_memory(&e)
                 : output_buf(&out, &e);
    }
    buf_free(&out);
    vec_free(&sequence.orders);
    return rc ? verb_fail(&e) : VERB_DONE;
}

int simulate_command(const struct command *c)
{
    struct simulate_options s = {0};
    uint64_t seed = 0;
    struct dry_run d;
    struct error e;
    int code;

    if (read_options(c->options, &s, &seed, &e))
        return verb_refuse(c->verb, &e);
    code = dry_run_open(&d, c, 0, STR_NONE);
    if (code == VERB_DONE) {
        if (option_seen(c->options, OPTION_SEED))
            d.seen.rules.policy.jitter_seed = seed;
        code = simulate(&d, c, &s);
    }
    dry_run_close(&d);
    return code;
}
