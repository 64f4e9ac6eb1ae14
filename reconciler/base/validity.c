#include "reconciler/base/validity.h"

bool validity_holds(const struct validity *v, int64_t now)
{
    return (!v->from && !v->to) || (v->from <= now && now <= v->to);
}

void validity_narrow(const struct validity *v, int64_t now, int64_t *since, int64_t *until)
{
    const int64_t edges[] = {v->from, v->to < INT64_MAX ? v->to + 1 : INT64_MAX};

    for (int i = 0; i < 2 && (v->from || v->to); i++) {
        if (edges[i] <= now && edges[i] > *since)
            *since = edges[i];
        if (edges[i] > now && edges[i] < *until)
            *until = edges[i];
    }
}
