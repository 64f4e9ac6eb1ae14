#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/channel.h"
#include "reconciler/control/control.h"
#include "reconciler/settings/settings.h"
#include "tests/fakes/fake_time.h"
#include "tests/support/fake_ca.h"
#include "tests/support/scratch.h"

/*
 * The whole of control, as the supervisor starts it, on a thread of its own: its storage, its file
 * and its listeners are real, and the others are played: the CA (fake_ca.h, in the place of
 * io/httpc), one worker, the supervisor, the watcher, the clock. One at a time in a program.
 */

#define CONTROLLED_PATH_MAX (SCRATCH_PATH_MAX + 32)

/* About as much as a turn takes in truth. */
#define CONTROLLED_TURN_MS 4
/* For what waits for seconds, and for nobody who is played. */
#define CONTROLLED_LONG_TURN_MS 250
/* Turns, for loops over controlled_pass. */
#define CONTROLLED_PATIENCE 8000

struct controlled {
    char folder[SCRATCH_PATH_MAX], prefix[CONTROLLED_PATH_MAX], file[CONTROLLED_PATH_MAX];
    int64_t began;   /* by the fake clock */
    int64_t turn_ms; /* that a turn of controlled_wait lets pass: CONTROLLED_TURN_MS at first */
    struct settings settings;
    struct control_options options;
    pthread_t control, worker;
    bool is_running;
    atomic_bool is_ended, ends; /* control has; the worker is to */
    atomic_int code;            /* that control ended with */
    pthread_mutex_t guard;      /* of the CA, and of what follows */
    struct fake_ca *ca;
    EVP_PKEY *account_key;
    struct buf account_pem;
    atomic_bool is_cut;     /* no request gets an answer */
    atomic_bool is_unheard; /* the worker acknowledges nothing */
    atomic_uint generation; /* the newest that the worker was told of */
    atomic_ullong session;  /* the worker's */
    int channel[2], supervisor[2], lifeline[2], watch[2], counters, status; /* [0] is control's */
    int port;                                                               /* of status */
    unsigned told[32];   /* by type: what control told the supervisor */
    struct buf declared; /* YAML of certificates that the file declares */
    struct buf page;     /* the last answer */
};

/* Makes its folder, CA and ends; `more`: settings, a line each. Nothing runs yet. */
void controlled_open(struct controlled *c, const char *more);
void controlled_close(struct controlled *c); /* and what still runs */

/* Writes kong.yaml: an acme plugin with these members of its config, in YAML's flow form; its keys
 * are ECDSA unless they say. */
void controlled_write(struct controlled *c, const char *config);
/* Of files that controlled_write writes from now on: they declare this certificate, too. */
void controlled_declare(struct controlled *c, const char *sni, struct str certificate,
                        struct str key);
void controlled_write_text(struct controlled *c, const char *text);

void controlled_start(struct controlled *c);
/* CHANNEL_STOP, and waits; gives the exit code. */
int controlled_stop(struct controlled *c);

/* Turns (the clock goes on by turn_ms each) until `is_so`, or too many: then false. */
bool controlled_wait(struct controlled *c, bool (*is_so)(struct controlled *c, const char *word),
                     const char *word);
/* For controlled_wait: /certificates, or /status.json over control.sock, has the word; or not. */
bool controlled_lists(struct controlled *c, const char *word);
bool controlled_lists_not(struct controlled *c, const char *word);
bool controlled_says(struct controlled *c, const char *word);
bool controlled_says_not(struct controlled *c, const char *word);
bool controlled_is_ready(struct controlled *c, const char *word); /* the supervisor was told so */
bool controlled_has_ended(struct controlled *c, const char *word);
/* Lets so many milliseconds pass at once. */
void controlled_pass(struct controlled *c, int64_t ms);

/* One request to the status listener, or with `is_own` to control.sock; the answer is c->page. */
void controlled_ask(struct controlled *c, bool is_own, const char *request);
/* The worker says this, in its session. */
void controlled_tell(struct controlled *c, struct channel_message m);
/* newOrders that came. */
unsigned controlled_orders(struct controlled *c);
