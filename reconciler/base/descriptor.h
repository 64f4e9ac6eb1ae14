#pragma once

#include <stddef.h>

#include "attr.h"
#include "buf.h"
#include "error.h"

/*
 * Open descriptors by name, as one process hands them to the next it execs: one argument such as
 * `--fds=channel=5,lifeline=6,listen.0=7,listen.1=8`. The supervisor prints, the child parses. Who
 * gets which is written in reconciler/supervisor.h.
 */
#define DESCRIPTOR_ARGUMENT "--fds="
#define DESCRIPTOR_COUNT_MAX 65536
#define DESCRIPTOR_NUMBER_MAX (1 << 20)

enum descriptor_name {
    DESCRIPTOR_LIFELINE,   /* pipe, read end: end of file = the supervisor is gone, leave */
    DESCRIPTOR_SETTINGS,   /* sealed memfd for settings_unpack */
    DESCRIPTOR_SUPERVISOR, /* control's channel to the supervisor */
    DESCRIPTOR_WATCH,      /* pipe, read end: reconcert-watch's lines */
    DESCRIPTOR_CHANNEL,    /* worker: `channel`; control: `channel.0` ... one per worker slot */
    DESCRIPTOR_COUNTERS,   /* memfd of COUNTERS_PAGE_SIZE; `counters` or one per worker slot */
    DESCRIPTOR_LISTEN,     /* `listen.0` ...: listening socket of settings.proxy_listen.items[i] */
    DESCRIPTOR_STATUS,     /* `status.0` ...: listening socket of settings.status_listen.items[i] */
    /* within the supervisor's own handover to a new binary */
    DESCRIPTOR_STATE,
    DESCRIPTOR_LIFELINE_HELD,  /* the pipe's write end */
    DESCRIPTOR_SUPERVISOR_FAR, /* control's end of its channel */
    DESCRIPTOR_CHANNEL_FAR,    /* one per worker slot: the worker's end */
    DESCRIPTOR_WATCH_FAR,      /* the watcher's end of its pipe */
    /* to control, and to a new binary */
    DESCRIPTOR_TICKETS, /* memfd of DESCRIPTOR_TICKETS_SIZE: keys of session tickets (feed/) */
    DESCRIPTOR_NAME_COUNT
};

#define DESCRIPTOR_TICKETS_SIZE 4096

/* An indexed name prints as `listen.3`. A name without an index has `index` DESCRIPTOR_ONLY. */
#define DESCRIPTOR_ONLY (-1)

struct descriptor {
    enum descriptor_name name;
    int index;
    int fd;
};

/* Zero it first. Holds numbers, does not own the descriptors. */
struct descriptor_list {
    struct descriptor *items;
    size_t len;
    size_t cap;
};

/* 0, or -1 when memory is out or DESCRIPTOR_COUNT_MAX is reached. */
int descriptor_add(struct descriptor_list *list, enum descriptor_name name, int index,
                   int fd) MUST_CHECK;
/* The descriptor's number; -1 where the list has none. */
int descriptor_get(const struct descriptor_list *list, enum descriptor_name name, int index);
/* How many of an indexed name there are: `name.0` to `name.(n-1)`. */
size_t descriptor_count(const struct descriptor_list *list, enum descriptor_name name);
/* Appends `channel.0=5,lifeline=6`, without DESCRIPTOR_ARGUMENT. Failure shows as out->failed. */
void descriptor_print(const struct descriptor_list *list, struct buf *out);
/*
 * Reads what descriptor_print wrote, with or without DESCRIPTOR_ARGUMENT in front, into an empty
 * list. Checks that names are known and unique, indices run from 0 without gaps, and that each
 * number is 3 or more and open; sets close-on-exec on each. 0, or -1 with *e (ERROR_USAGE) and an
 * empty list.
 */
int descriptor_parse(struct descriptor_list *list, const char *text, struct error *e) MUST_CHECK;
/* Frees the list; the descriptors stay open. */
void descriptor_list_free(struct descriptor_list *list);
