#pragma once

#include <stddef.h>

#include "reconciler/base/error.h"
#include "reconciler/settings/settings.h"

#define LISTENERS_BACKLOG \
    16384 /* without backlog=N: Kong's; the kernel cuts it to net.core.somaxconn */

/* Zero it first; listeners_close either way. */
struct listeners {
    int *fds; /* [slot * address_count + address] */
    size_t slot_count, address_count;
    int *status; /* one for each address of status_listen */
    size_t status_count;
};

/*
 * Binds and listens on everything, one SO_REUSEPORT socket for each slot and address. Rewrites
 * s->proxy_listen and s->status_listen to what is really listened on: names become addresses, port
 * 0 the one that the kernel picked, and an IPv6 default is left out (and logged) where there is no
 * IPv6. 0, or -1 with *e: ERROR_IN_USE names every address that another process listens on.
 */
int listeners_open(struct listeners *l, struct settings *s, size_t slot_count,
                   struct error *e) MUST_CHECK;
/* Logs what is listened on, one line each. */
void listeners_log(const struct settings *s);
void listeners_close(struct listeners *l);
