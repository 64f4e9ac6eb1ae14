#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/ca.h"
#include "reconciler/issue/issuance.h"
#include "tests/support/fake_ca.h"

/*
 * Orders on their way between fake ends: a CA without sockets (fake_ca.h), a journal that does what
 * a test wants of storage, workers who acknowledge when they are told to, a clock that jumps
 * (fake_time.h: it begins at ISSUING_BEGAN). Jobs run on threads of their own. A program that links
 * this has these instead of httpc_send, job_submit and job_submit_slow.
 */

#define ISSUING_BEGAN INT64_C(1800000000)
#define ISSUING_JOURNAL_MAX 256 /* steps, jobs and requests that wait */

/* What an end does with what it is given. */
enum issuing_end {
    ISSUING_WORKS,
    ISSUING_IS_SLOW, /* keeps it, until it works again */
    ISSUING_FAILS,   /* says so later */
    ISSUING_REFUSES  /* says so at once: out of memory */
};

struct issuing_step {
    void (*done)(void *context, const struct error *e); /* of the journal */
    void *context;
    bool failed;
};

struct issuing_job {
    pthread_t thread;
    void (*run)(void *context);
    void (*done)(void *context);
    void *context;
};

struct issuing_request {
    uint64_t cookie;
    struct http_request request; /* its strings are ours */
};

struct issuing {
    struct event_base *base;
    struct issuance *issuance;
    struct challenge_board *board;
    struct fake_ca *ca;
    struct chain_pool *chains;
    struct store *store;
    EVP_PKEY *account_key;
    struct buf account_pem;
    struct ca at; /* what issuing_use gives; a test may change it */

    /* ---- what the ends do: a test may change it at any time ---- */
    enum issuing_end journal, probe, jobs, requests;
    int journal_spares;  /* the journal does so only after that many steps that work */
    bool refuses_tokens; /* nothing can be presented */
    bool is_unheard;     /* workers acknowledge nothing */
    bool is_limited;     /* another newOrder than the first does not fit the CA's limits */
    bool is_left_open;   /* outcomes are not closed */

    /* ---- what came of it ---- */
    struct buf told; /* a line each: "issued a.test", "failed a.test: why", "storage failed: why" */
    struct buf tokens;  /* "+token_0-0" when it becomes answerable, "-token_0-0" when no more */
    struct buf written; /* "order a.test url", "sent a.test 1", "account url" ... when durable */
    uint64_t announced, acknowledged;
    bool is_ready;
    unsigned probes, draws, most_requests; /* ... at once */

    struct issuing_step steps[ISSUING_JOURNAL_MAX];
    size_t step_count;
    struct issuing_job *waiting[ISSUING_JOURNAL_MAX];
    size_t job_count;
    struct issuing_request sent[ISSUING_JOURNAL_MAX];
    size_t sent_count;
};

/* NULL: a CA that does all as it should. The account key is made here. */
void issuing_start(struct issuing *i, const struct fake_ca_options *ca);
void issuing_stop(struct issuing *i);
/* As after a crash: what was written is there, everything else is gone; nothing is in use yet. */
void issuing_restart(struct issuing *i);
/* The CA for orders from now on; journal and all else are asked to work on it as they are told. */
void issuing_use(struct issuing *i);
void issuing_want(struct issuing *i, const char *name, enum urgency_kind kind);
void issuing_want_key(struct issuing *i, const char *name, enum key_type type);

/* Lets everything happen that can, without waiting. */
void issuing_turn(struct issuing *i);
/*
 * Goes on, the clock jumping to whatever is next, until `told` has this line, or so many (fake)
 * milliseconds have passed: then false.
 */
bool issuing_run(struct issuing *i, const char *line, int64_t most_ms);
/* How often `word` is in it. */
unsigned issuing_count(const struct buf *in, const char *word);
