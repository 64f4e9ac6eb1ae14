#include "reconciler/core/explain.h"

#include <string.h>

/* Which rung of Kong's ladder `sni` stands on for `name`; SERVED_DEFAULT: on none. */
static enum explain_served rung(struct str sni, struct str name)
{
    static const enum explain_served rungs[] = {[HOSTNAME_EXACT] = SERVED_EXACT,
                                                [HOSTNAME_FIRST_LABEL] = SERVED_FIRST_WILDCARD,
                                                [HOSTNAME_LAST_LABEL] = SERVED_LAST_WILDCARD,
                                                [HOSTNAME_STAR] = SERVED_STAR,
                                                [HOSTNAME_RUNGS] = SERVED_DEFAULT};

    return rungs[hostname_rung_of(sni, name)];
}

bool explain_is_valid(const struct certificate *c, const struct policy *policy, int64_t now)
{
    return policy_is_clock_wrong(policy, now) || validity_holds(&c->valid, now) ||
           (c->cert_alt.value.ptr && validity_holds(&c->valid_alt, now));
}

static bool is_servable(const struct sni *sni)
{
    return sni->certificate && !sni->certificate->unresolved.ptr;
}

bool explain_gives_way(const struct model *model, const struct sni *sni,
                       const struct policy *policy, int64_t now)
{
    if (explain_is_valid(sni->certificate, policy, now))
        return false;
    for (size_t i = 0; i < model->sni_count; i++) {
        const struct sni *other = &model->snis[i];

        /* Only a pattern covers another name; most are none. */
        if (other != sni && memchr(other->name.value.ptr, '*', other->name.value.len) &&
            is_servable(other) && explain_is_valid(other->certificate, policy, now) &&
            rung(other->name.value, sni->name.value) != SERVED_DEFAULT)
            return true;
    }
    return false;
}

static struct explain_choice choose_declared(const struct model *model, struct str name,
                                             const struct policy *policy, int64_t now)
{
    struct explain_choice best = {.served = SERVED_DEFAULT};
    enum explain_served first = SERVED_DEFAULT;

    for (size_t i = 0; i < model->sni_count; i++) {
        const struct sni *sni = &model->snis[i];
        enum explain_served here = rung(sni->name.value, name);

        if (here >= best.served || !is_servable(sni))
            continue;
        if (!explain_gives_way(model, sni, policy, now)) {
            best.served = here;
            best.sni = sni;
        } else if (here < first) {
            first = here;
            best.passed = sni;
        }
    }
    if (first > best.served)
        best.passed = NULL;
    return best;
}

struct explain_choice explain_choose(const struct model *model, struct str name,
                                     const struct observed_name *observed,
                                     const struct policy *policy, int64_t now)
{
    struct explain_choice declared;
    bool is_indexed = observed && observed->has_certificate && observed->managed.active;

    if (is_indexed && plan_is_good(observed, policy, now))
        return (struct explain_choice){.served = SERVED_MANAGED};
    declared = choose_declared(model, name, policy, now);
    if (is_indexed && declared.served == SERVED_DEFAULT)
        return (struct explain_choice){.served = SERVED_MANAGED_STALE};
    return declared;
}
