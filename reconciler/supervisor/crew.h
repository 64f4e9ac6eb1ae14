#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "listeners.h"
#include "privilege.h"
#include "reconciler/base/error.h"
#include "reconciler/settings/settings.h"
#include "restart.h"

/* All children and everything that they are given, kept over their deaths. */

struct crew_process {
    pid_t pid; /* 0 = does not run */
    struct restart restart;
};

/* Ends of a pair or pipe. */
enum { CREW_NEAR, CREW_FAR };

struct channel_message;

struct crew_slot {
    struct crew_process worker;
    int channel[2]; /* near: control's end; far: the worker's */
    int counters;
    bool is_serving;   /* control has said CHANNEL_WORKER_READY of it */
    bool was_serving;  /* this or an earlier one */
    pid_t cover_pid;   /* who accepts from its sockets meanwhile (cover.h); 0 = nobody */
    size_t cover_sent; /* sockets that it has been sent */
    /* After an upgrade, until `worker` serves: the old binary's one on the same sockets. */
    pid_t old_pid;
    int old_channel[2];
    bool has_old; /* that one may still accept, or hold idle connections */
    /* What control does not know (roster.h): */
    bool is_untold;       /* who is there */
    bool has_new_channel; /* `channel` is another than when control started */
};

struct crew {
    struct settings settings;     /* effective */
    struct privilege worker_user; /* nginx_user's */
    struct privilege own_user;    /* acme_user's: control's and the watcher's */
    struct listeners listeners;
    int program;       /* our own binary, O_PATH */
    int watch_program; /* reconcert-watch; -1 = there is none */
    char *path;        /* of our binary when we were started: what an upgrade execs */
    char *const *environment;
    const char *const *arguments;
    int settings_fd, worker_settings_fd;
    int tickets; /* control's keys of session tickets, kept over its deaths; we never look */
    bool leaves_when_idle;
    int lifeline[2];   /* near: held by us; far: what children read */
    int supervisor[2]; /* near: ours; far: control's */
    int watch[2];      /* near: control reads; far: the watcher's stdout */
    struct crew_process control, watcher;
    struct crew_slot *slots;
    size_t slot_count;
    bool was_ready; /* control has said CHANNEL_READY once */
};

/* No descriptor open, no process running. Call it first; crew_close any time after. */
void crew_init(struct crew *c);
/* A copy, for crew_open to change. */
int crew_copy_settings(struct crew *c, const struct settings *s, struct error *e) MUST_CHECK;
/* Finds our programs and the user to become. 0, or -1 with *e. */
int crew_find_programs(struct crew *c, struct error *e) MUST_CHECK;
/* The worker that a message is about; NULL when it has died meanwhile: its successor is another. */
struct crew_slot *crew_slot_of(struct crew *c, const struct channel_message *m);
/* Makes the prefix' folder as at the start; control, which found it gone, tells where it is not. */
void crew_renew_prefix(const struct crew *c);
/* Listeners, pairs, pipes and pages for c->settings, which become the effective ones. */
int crew_open(struct crew *c, struct error *e) MUST_CHECK;
/* The settings for children, from c->settings, as memfds. */
int crew_pack_settings(struct crew *c, struct error *e) MUST_CHECK;
/* An empty page for control's keys. */
int crew_open_tickets(struct crew *c, struct error *e) MUST_CHECK;
/* Slots without any descriptor. */
int crew_make_slots(struct crew *c, size_t count, struct error *e) MUST_CHECK;
void crew_close(struct crew *c);

/*
 * Each gets a channel that nobody had before it, so that nothing which its predecessor did to its
 * own, left unread or was not told, harms it.
 */
int crew_start_control(struct crew *c, int64_t now_ms, struct error *e) MUST_CHECK;
int crew_start_worker(struct crew *c, size_t slot, int64_t now_ms, struct error *e) MUST_CHECK;
/* Without a path to watch, or without the program, there is nothing to start: it stays down. */
int crew_start_watcher(struct crew *c, int64_t now_ms, struct error *e) MUST_CHECK;

/* By its channel; where that does not work, by the signal that means the same. */
void crew_stop_control(struct crew *c, int64_t bound_ms);
/* To all workers, those of the old binary that are not replaced yet too. */
void crew_signal_workers(const struct crew *c, int number);

/* Closes both ends of a pair and marks them closed. */
void crew_close_pair(int pair[2]);
