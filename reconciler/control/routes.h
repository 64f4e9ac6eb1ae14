#pragma once

#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/error.h"
#include "reconciler/publish/publisher.h"
#include "spec/model.h"

/* What workers need to know of routes and of the gate, out of the model. */

/*
 * Fills *rules with lists in `arena` and views into the model. Routes of disabled services do not
 * count. *hash tells equal ones apart from changed ones, within this process. Pure.
 */
int routes_make(const struct model *model, struct arena *arena, struct publisher_rules *rules,
                uint64_t *hash, struct error *e) MUST_CHECK;
