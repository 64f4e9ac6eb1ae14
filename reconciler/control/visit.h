#pragma once

#include <stdint.h>

#include "reconciler/base/subject.h"

/* Between pass.demands and the state: what visitors ask for becomes a record, and a name to order.
 */
struct pass;

/* What has been heard of handshakes that only the default certificate covers (design 5.4). */
void visit_take(struct pass *p, int64_t now);
/* Demands that storage holds from an earlier run: they count like new ones. */
void visit_restore(struct pass *p, int64_t now);
/* The file has changed: what it names, or lets through no more, is no demand. */
void visit_review(struct pass *p, int64_t now);
/*
 * Nothing is to be done for the name. What visitors asked for, in vain and long ago, leaves nothing
 * behind, neither here nor in storage.
 */
void visit_forget(struct pass *p, struct subject subject, int64_t now);
