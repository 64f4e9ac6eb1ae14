#include "reconciler/core/explain.h"

/* "head*" + "tail" with either part empty: compares a declared SNI with a pattern that is never
 * built. */
static bool is_pattern(struct str sni, struct str head, struct str tail)
{
    return sni.len == head.len + 1 + tail.len && sni.ptr[head.len] == '*' &&
           str_starts(sni, head) && str_ends(sni, tail);
}

/* Which rung of Kong's ladder `sni` stands on for `name`; SERVED_DEFAULT: on none. */
static enum explain_served rung(struct str sni, struct str name)
{
    size_t first = str_find(name, '.', 0), last = name.len;

    if (str_equal(sni, name))
        return SERVED_EXACT;
    while (last > 0 && name.ptr[last - 1] != '.')
        last--;
    /* "*.com" is never tried for "a.com": the first label only gives way where two more follow. */
    if (last && first + 1 < last && is_pattern(sni, STR(""), str_slice(name, first, name.len)))
        return SERVED_FIRST_WILDCARD;
    if (last && is_pattern(sni, str_slice(name, 0, last), STR("")))
        return SERVED_LAST_WILDCARD;
    return str_equal(sni, STR("*")) ? SERVED_STAR : SERVED_DEFAULT;
}

static struct explain_choice choose_declared(const struct model *model, struct str name)
{
    struct explain_choice best = {.served = SERVED_DEFAULT};

    for (size_t i = 0; i < model->sni_count; i++) {
        const struct sni *sni = &model->snis[i];
        enum explain_served here = rung(sni->name.value, name);

        if (here < best.served && sni->certificate && !sni->certificate->unresolved.ptr)
            best = (struct explain_choice){here, sni};
    }
    return best;
}

struct explain_choice explain_choose(const struct model *model, struct str name,
                                     const struct observed_name *observed, bool good)
{
    struct explain_choice declared;
    bool is_indexed = observed && observed->has_certificate && observed->active;

    if (is_indexed && good)
        return (struct explain_choice){.served = SERVED_MANAGED};
    declared = choose_declared(model, name);
    if (is_indexed && declared.served == SERVED_DEFAULT)
        return (struct explain_choice){.served = SERVED_MANAGED_STALE};
    return declared;
}
