#include "tests/fakes/issuing.h"

#include <CUnit/Basic.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/sent.h"
#include "reconciler/issue/issuance_private.h"
#include "reconciler/io/httpc.h"
#include "reconciler/io/job.h"
#include "reconciler/pki/chain.h"
#include "reconciler/pki/key.h"
#include "reconciler/publish/challenge_board.h"
#include "reconciler/store/store.h"
#include "tests/fakes/fake_time.h"

#define TEXT_MAX ((size_t)1 << 20)
#define TURNS_MAX 20000

/* ---- the journal ---- */

static enum issuing_end end_of_journal(struct issuing *i)
{
    return i->journal_spares > 0 && i->journal_spares-- ? ISSUING_WORKS : i->journal;
}

/* The CA gets to know whose signatures it is to expect. */
static void take_account(struct issuing *i, const struct value_account *account)
{
    struct error e;

    buf_printf(&i->written, "account %.*s\n", STR_ARG(account->url));
    EVP_PKEY_free(i->account_key);
    i->account_key = key_parse(account->key, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i->account_key);
    fake_ca_options(i->ca)->account_key = i->account_key;
}

static void write_down(struct issuing *i, const struct value *v)
{
    struct str name = v->subject.name;
    struct error e;

    if (v->type == VALUE_ORDER)
        buf_printf(&i->written, "order %.*s %.*s\n", STR_ARG(name), STR_ARG(v->u.order.url));
    else if (v->type == VALUE_SENT)
        buf_printf(&i->written, "sent %.*s %d\n", STR_ARG(name),
                   v->gone ? 0 : sent_count(v->u.sent.times));
    else if (v->type == VALUE_ACCOUNT)
        take_account(i, &v->u.account);
    CU_ASSERT_EQUAL(store_apply(i->store, v, &e), 0);
}

static int put_step(struct issuing *i, enum issuing_end end, struct issuing_step step,
                    struct error *e)
{
    if (end == ISSUING_REFUSES)
        return error_memory(e);
    CU_ASSERT_FATAL(i->step_count < ISSUING_JOURNAL_MAX);
    step.failed = end == ISSUING_FAILS;
    i->steps[i->step_count++] = step;
    return 0;
}

static int put(void *journal, const struct value *values, size_t count, order_journal_done *done,
               void *context, struct error *e)
{
    struct issuing *i = journal;
    enum issuing_end end = end_of_journal(i);

    if (put_step(i, end, (struct issuing_step){done, context, false}, e))
        return -1;
    for (size_t n = 0; n < count && end != ISSUING_FAILS; n++)
        write_down(i, &values[n]);
    return 0;
}

static int probe(void *journal, size_t orders, order_journal_done *done, void *context,
                 struct error *e)
{
    struct issuing *i = journal;

    CU_ASSERT(orders > 0);
    i->probes++;
    return put_step(i, i->probe, (struct issuing_step){done, context, false}, e);
}

static bool deliver_journal(struct issuing *i)
{
    struct issuing_step steps[ISSUING_JOURNAL_MAX];
    size_t count = i->step_count;
    struct error e;

    if (i->journal == ISSUING_IS_SLOW || i->probe == ISSUING_IS_SLOW || !count)
        return false;
    error_set(&e, ERROR_STORAGE, "the disk is full");
    memcpy(steps, i->steps, count * sizeof(*steps));
    i->step_count = 0;
    for (size_t n = 0; n < count; n++)
        if (steps[n].done)
            steps[n].done(steps[n].context, steps[n].failed ? &e : NULL);
    return true;
}

/* ---- jobs ---- */

static void *run_job(void *context)
{
    struct issuing_job *job = context;

    job->run(job->context);
    return NULL;
}

int job_submit(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
               void *context)
{
    struct issuing *i = (struct issuing *)t;
    struct issuing_job *job;

    if (i->jobs == ISSUING_REFUSES || !(job = malloc(sizeof(*job))))
        return -1;
    CU_ASSERT_FATAL(i->job_count < ISSUING_JOURNAL_MAX);
    *job = (struct issuing_job){.run = run, .done = done, .context = context};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&job->thread, NULL, run_job, job), 0);
    i->waiting[i->job_count++] = job;
    return 0;
}

int job_submit_slow(struct job_thread *t, void (*run)(void *context), void (*done)(void *context),
                    void *context)
{
    return job_submit(t, run, done, context);
}

static bool finish_job(struct issuing *i)
{
    struct issuing_job *job = i->waiting[0];

    if (!i->job_count || i->jobs == ISSUING_IS_SLOW)
        return false;
    pthread_join(job->thread, NULL);
    i->job_count--;
    memmove(i->waiting, i->waiting + 1, i->job_count * sizeof(struct issuing_job *));
    job->done(job->context);
    free(job);
    return true;
}

/* ---- requests ---- */

static struct str copy(struct str s)
{
    return s.ptr ? (struct str){str_dup(s), s.len} : s;
}

static void forget_request(struct issuing_request *r)
{
    free((char *)r->request.url.ptr);
    free((char *)r->request.named_by.ptr);
    free((char *)r->request.content_type.ptr);
    free((char *)r->request.body.ptr);
    free((char *)r->request.accept.ptr);
}

int httpc_send(struct httpc *h, const struct http_request *request, uint64_t cookie,
               struct error *e)
{
    struct issuing *i = (struct issuing *)h;
    struct issuing_request *r = &i->sent[i->sent_count];

    if (i->requests == ISSUING_REFUSES)
        return error_memory(e);
    CU_ASSERT_FATAL(i->sent_count < ISSUING_JOURNAL_MAX);
    *r = (struct issuing_request){cookie, *request};
    r->request.url = copy(request->url);
    r->request.named_by = copy(request->named_by);
    r->request.content_type = copy(request->content_type);
    r->request.body = copy(request->body);
    r->request.accept = copy(request->accept);
    i->sent_count++;
    if (i->sent_count > i->most_requests)
        i->most_requests = (unsigned)i->sent_count;
    return 0;
}

/* The oldest is answered. */
static bool answer_request(struct issuing *i)
{
    struct issuing_request r = i->sent[0];
    struct httpc_done done = {.cookie = r.cookie};

    if (!i->sent_count || i->requests == ISSUING_IS_SLOW)
        return false;
    i->sent_count--;
    memmove(i->sent, i->sent + 1, i->sent_count * sizeof(*i->sent));
    if (i->requests == ISSUING_FAILS)
        error_set(&done.error, ERROR_NETWORK, "the line is cut");
    else
        done.ok = fake_ca_handle(i->ca, &r.request, &done.reply, &done.error);
    issuance_reply(i->issuance, &done);
    forget_request(&r);
    return true;
}

/* ---- who is told ---- */

static int present(void *context, uint64_t owner, const struct challenge *challenge,
                   struct error *e)
{
    struct issuing *i = context;

    if (i->refuses_tokens)
        return error_memory(e);
    if (challenge_board_put(i->board, owner, challenge, e))
        return -1;
    buf_printf(&i->tokens, "+%.*s\n", STR_ARG(challenge->token));
    fake_ca_publish(i->ca, challenge->token, challenge->payload);
    return 0;
}

static void cleanup(void *context, uint64_t owner)
{
    struct issuing *i = context;
    size_t count = challenge_board_count(i->board);
    struct segment_challenge list[ISSUING_JOURNAL_MAX];
    char *tokens[ISSUING_JOURNAL_MAX];

    CU_ASSERT_FATAL(count <= ISSUING_JOURNAL_MAX);
    challenge_board_list(i->board, list);
    for (size_t n = 0; n < count; n++)
        tokens[n] = str_dup(list[n].key);
    challenge_board_withdraw(i->board, owner);
    for (size_t n = 0; n < count; n++) {
        if (!challenge_board_find(i->board, CHALLENGE_HTTP_01, str_from(tokens[n])).ptr)
            buf_printf(&i->tokens, "-%s\n", tokens[n]);
        free(tokens[n]);
    }
}

static void served(void *context, uint64_t owner)
{
    issuance_presented(((struct issuing *)context)->issuance, owner);
}

static int draw(void *context, struct str name, bool renewal, struct error *e)
{
    struct issuing *i = context;

    (void)renewal;
    i->draws++;
    if (!i->is_limited)
        return 0;
    return error_set(e, ERROR_RATE_LIMIT, "%.*s: no more this week", STR_ARG(name));
}

static void ready(void *context)
{
    ((struct issuing *)context)->is_ready = true;
}

static void end_one(struct issuing *i, const struct issuance_result *r)
{
    if (!i->is_left_open)
        issuance_close(i->issuance, r->subject);
}

static void issued(void *context, const struct issuance_result *r)
{
    struct issuing *i = context;

    CU_ASSERT(str_starts(r->chain, STR("-----BEGIN CERTIFICATE-----")) && r->key.len);
    CU_ASSERT(str_equal(r->ca->directory, i->at.directory));
    buf_printf(&i->told, "issued %.*s%s\n", STR_ARG(r->subject.name),
               r->lacks_chain ? " by another chain" : "");
    end_one(i, r);
}

static void failed(void *context, const struct issuance_result *r, const struct error *e,
                   bool is_resumable)
{
    struct issuing *i = context;

    CU_ASSERT_EQUAL(r->chain.len, 0);
    buf_printf(&i->told, "failed %.*s: %s%s\n", STR_ARG(r->subject.name), e->message,
               is_resumable ? "" : " (for good)");
    end_one(i, r);
}

static void storage_failed(void *context, const struct error *e)
{
    buf_printf(&((struct issuing *)context)->told, "storage failed: %s\n", e->message);
}

static void storage_works(void *context)
{
    (void)context;
}

/* ---- life ---- */

static void make_account_key(struct issuing *i)
{
    struct error e;

    i->account_pem = BUF_SECRET(KEY_PEM_MAX);
    i->account_key = key_generate(KEY_P256, &e);
    CU_ASSERT_FATAL(i->account_key && key_print(i->account_key, &i->account_pem, &e) == 0);
}

static void begin(struct issuing *i)
{
    const struct issuance_options options = {
        .base = i->base,
        .httpc = (struct httpc *)i,
        .jobs = (struct job_thread *)i,
        .journal = {.context = i, .put = put, .probe = probe},
        .store = i->store,
        .context = i,
        .solver = {.context = i, .present = present, .cleanup = cleanup},
        .draw = draw,
        .ready = ready,
        .issued = issued,
        .failed = failed,
        .storage_failed = storage_failed,
        .storage_works = storage_works,
    };
    struct error e;

    i->board = challenge_board_new(1u << CHALLENGE_HTTP_01, served, i);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i->board);
    i->issuance = issuance_new(&options, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(i->issuance);
}

void issuing_start(struct issuing *i, const struct fake_ca_options *given)
{
    struct fake_ca_options ca = given ? *given : (struct fake_ca_options){0};

    memset(i, 0, sizeof(*i));
    fake_time_set(ISSUING_BEGAN);
    make_account_key(i);
    ca.account_key = i->account_key;
    i->ca = fake_ca_new(&ca);
    i->chains = chain_pool_new();
    i->store = store_new(&(struct store_options){0}, i->chains);
    i->told = i->tokens = i->written = BUF_INIT(TEXT_MAX);
    i->base = event_base_new();
    i->at = (struct ca){
        .directory = STR(FAKE_CA_DIRECTORY),
        .api_uri = STR("https://ca.test"),
        .email = STR("a@example.com"),
        .account_key = buf_view(&i->account_pem),
    };
    begin(i);
}

/* Nobody holds anything of issuance any more. */
static void end(struct issuing *i)
{
    i->jobs = i->journal = i->probe = ISSUING_WORKS;
    while (finish_job(i) || deliver_journal(i))
        ;
    while (i->sent_count)
        forget_request(&i->sent[--i->sent_count]);
    issuance_free(i->issuance);
    challenge_board_free(i->board);
}

void issuing_restart(struct issuing *i)
{
    struct buf written = i->written;

    i->written = BUF_INIT(TEXT_MAX); /* what the end writes is too late */
    end(i);
    buf_free(&i->written);
    i->written = written;
    i->announced = i->acknowledged = 0;
    i->is_ready = false;
    begin(i);
}

void issuing_stop(struct issuing *i)
{
    end(i);
    fake_ca_free(i->ca);
    store_free(i->store);
    chain_pool_free(i->chains);
    event_base_free(i->base);
    EVP_PKEY_free(i->account_key);
    buf_free(&i->account_pem);
    buf_free(&i->told);
    buf_free(&i->tokens);
    buf_free(&i->written);
}

void issuing_use(struct issuing *i)
{
    struct error e;

    CU_ASSERT_EQUAL_FATAL(issuance_use(i->issuance, &i->at, &e), 0);
}

static void want(struct issuing *i, const struct issuance_wish *wish)
{
    struct error e;

    CU_ASSERT_EQUAL_FATAL(issuance_want(i->issuance, wish, &e), 0);
}

void issuing_want(struct issuing *i, const char *name, enum urgency_kind kind)
{
    want(i, &(struct issuance_wish){.subject.name = str_from(name),
                                    .key_type = KEY_P256,
                                    .is_renewal = kind == URGENCY_RENEWAL,
                                    .urgency = {kind, 0}});
}

void issuing_want_key(struct issuing *i, const char *name, enum key_type type)
{
    want(i, &(struct issuance_wish){.subject.name = str_from(name),
                                    .key_type = type,
                                    .urgency = {URGENCY_DECLARED, 0}});
}

/* ---- going on ---- */

static bool tell_workers(struct issuing *i)
{
    bool is_new = challenge_board_waits(i->board);

    if (is_new)
        challenge_board_name(i->board, 0, ++i->announced);
    if (i->is_unheard || i->acknowledged == i->announced)
        return is_new;
    i->acknowledged = i->announced;
    challenge_board_acknowledged(i->board, i->acknowledged);
    return true;
}

static bool deliver(struct issuing *i)
{
    bool was_ready = i->is_ready;

    i->is_ready = false;
    if (was_ready)
        issuance_deliver(i->issuance);
    return was_ready;
}

void issuing_turn(struct issuing *i)
{
    bool goes_on = true;

    for (int n = 0; goes_on && n < TURNS_MAX; n++) {
        event_base_loop(i->base, EVLOOP_NONBLOCK);
        goes_on = finish_job(i);
        goes_on |= deliver_journal(i);
        goes_on |= answer_request(i);
        goes_on |= tell_workers(i);
        goes_on |= deliver(i);
    }
    CU_ASSERT_FALSE(goes_on);
}

static void nothing(int fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

/* Milliseconds until the next look, by the clock that libevent counts by. */
static int64_t until_look(struct issuing *i)
{
    struct event *now = evtimer_new(i->base, nothing, NULL);
    struct timeval at, from, wait = {0};
    int64_t ms = 1;

    CU_ASSERT_FATAL(now && event_add(now, &wait) == 0);
    if (event_pending(i->issuance->turn, EV_TIMEOUT, &at) && event_pending(now, EV_TIMEOUT, &from))
        ms += (at.tv_sec - from.tv_sec) * 1000 + (at.tv_usec - from.tv_usec) / 1000;
    event_free(now);
    return ms < 1 ? 1 : ms;
}

bool issuing_run(struct issuing *i, const char *line, int64_t most_ms)
{
    for (int n = 0; n < TURNS_MAX; n++) {
        int64_t ms;

        issuing_turn(i);
        if (line && issuing_count(&i->told, line))
            return true;
        if (most_ms <= 0)
            return false;
        ms = until_look(i);
        ms = ms < most_ms ? ms : most_ms;
        fake_time_pass(ms);
        most_ms -= ms;
    }
    CU_FAIL("it comes to no end");
    return false;
}

unsigned issuing_count(const struct buf *in, const char *word)
{
    struct str rest = buf_view(in);
    const char *at;
    unsigned count = 0;

    while (rest.len && (at = memmem(rest.ptr, rest.len, word, strlen(word)))) {
        count++;
        rest = str_slice(rest, (size_t)(at - rest.ptr) + strlen(word), rest.len);
    }
    return count;
}
