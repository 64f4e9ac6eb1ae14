#pragma once

#include <stdint.h>

#include "reconciler/base/error.h"

struct channel_message;

/*
 * The keys with which workers encrypt session tickets: a new one each hour, three are kept. They
 * live in a page of memory that the supervisor holds for its control alone (DESCRIPTOR_TICKETS), so
 * a control that starts has its predecessor's, and visitors resume their sessions. No storage and
 * no segment ever holds them.
 */
struct tickets;

/* A key encrypts for this long and decrypts for CHANNEL_TICKET_KEYS times that. */
#define TICKETS_ROTATION_MS (3600 * INT64_C(1000))

/*
 * The keys in the page, as far as they are not too old by now, or new ones. `fd` stays the
 * caller's; -1: a page of our own. NULL with *e.
 */
struct tickets *tickets_new(int fd, struct error *e) MUST_CHECK;
void tickets_free(struct tickets *t); /* NULL is fine; the page keeps what it holds */

/* A new key when an hour is over. Returns in how many ms the next one is due. */
int64_t tickets_rotate(struct tickets *t);
/* CHANNEL_TICKET_KEYS_SET; to be wiped. */
void tickets_print(const struct tickets *t, struct channel_message *m);
