#pragma once

#include "reconciler/core/reconcile.h"

/* What exists, made by hand (core/reconcile.h). */
struct fake_source {
    struct observed observed;
    const struct desired_demand *demands;
    size_t demand_count;
    size_t asked; /* how often it was observed */
};

struct reconcile_source fake_source(struct fake_source *s);
