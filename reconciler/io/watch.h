#pragma once

#include "reconciler/base/error.h"

struct event_base;

/*
 * The lines of reconcert-watch: "ready" once its watches are armed (after every restart of it), and
 * "changed" after each burst of events has gone quiet. Either only means "look soon".
 */
struct watch;

/* `fd` stays the caller's. NULL with *e. */
struct watch *watch_new(struct event_base *base, int fd, void (*look)(void *context), void *context,
                        struct error *e) MUST_CHECK;
void watch_free(struct watch *w); /* NULL is fine */
