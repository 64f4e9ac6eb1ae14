#include "tests/support/fake_source.h"

static int demands(void *context, int64_t now, struct arena *arena, struct desired_options *options,
                   struct error *e)
{
    const struct fake_source *s = context;

    (void)now;
    (void)arena;
    (void)e;
    options->demands = s->demands;
    options->demand_count = s->demand_count;
    return 0;
}

static int observe(void *context, const struct policy *policy, struct arena *arena,
                   struct observed **observed, struct error *e)
{
    struct fake_source *s = context;

    (void)policy;
    (void)arena;
    (void)e;
    s->asked++;
    *observed = &s->observed;
    return 0;
}

struct reconcile_source fake_source(struct fake_source *s)
{
    return (struct reconcile_source){demands, observe, s};
}
