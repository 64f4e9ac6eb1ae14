#pragma once

#include <stddef.h>

#include "reconciler/issue/task.h"

/* Tasks that wait for their turn, the most urgent first, then in the order in which they came.
 * Private to issuance.c and step.c. */
TAILQ_HEAD(go_list, task);

struct urgent {
    struct go_list lists[URGENCY_KINDS];
    size_t counts[URGENCY_KINDS];
    size_t count;
};

void urgent_init(struct urgent *u);
/* A task that is in no other list by its `go`. */
void urgent_put(struct urgent *u, struct task *t);
void urgent_remove(struct urgent *u, struct task *t);
/* NULL: none is left. */
struct task *urgent_first(const struct urgent *u);
struct task *urgent_take(struct urgent *u);
