#include "challenge.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reconciler/net/exchange.h"
#include "reconciler/net/http1.h"
#include "recent.h"
#include "reconciler/base/channel.h"
#include "reconciler/base/clock.h"
#include "reply.h"
#include "view.h"

#define PREFIX STR("/.well-known/acme-challenge/")

struct waiter {
    struct challenge *challenge;
    TAILQ_ENTRY(waiter) link;
    struct challenge_request request;
    int64_t until_ms;
    bool is_kept; /* a route names its path */
    size_t token_len;
    char token[CHANNEL_TOKEN_MAX];
};

TAILQ_HEAD(waiter_list, waiter);

struct challenge {
    struct challenge_options options;
    struct waiter_list waiters; /* oldest first */
    size_t count;
    struct event deadline;
    struct recent *misses;
    int64_t second_ms; /* when `asked` began to count */
    unsigned asked;
};

static void set_deadline(struct challenge *c)
{
    struct waiter *first = TAILQ_FIRST(&c->waiters);
    int64_t ms = first ? first->until_ms - clock_steady_ms() : 0;
    struct timeval in;

    if (!first) {
        event_del(&c->deadline);
        return;
    }
    ms = ms > 0 ? ms : 0;
    in = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(&c->deadline, &in);
}

/* ---- answers ---- */

static void answer(struct challenge *c, struct exchange *x, struct str text)
{
    counters_add(&c->options.counters->challenges_answered, 1);
    reply_text(x, 200, text);
}

/* No token of ours: Kong's 404, or a route's affair. */
static void miss(struct challenge *c, const struct challenge_request *request, bool is_kept)
{
    counters_add(&c->options.counters->challenges_missed, 1);
    if (is_kept)
        c->options.fall_through(c->options.context, request);
    else
        reply_error(c->options.reply, request->exchange, 404, "Not found", request->type);
}

static void remove_waiter(struct challenge *c, struct waiter *w)
{
    TAILQ_REMOVE(&c->waiters, w, link);
    c->count--;
}

/* Takes the waiter away and answers it; an empty answer is a miss. */
static void finish(struct challenge *c, struct waiter *w, struct str text)
{
    remove_waiter(c, w);
    if (text.len)
        answer(c, w->request.exchange, text);
    else
        miss(c, &w->request, w->is_kept);
    free(w);
}

/* Who asked has gone. */
static void forget(void *context, struct exchange *x, enum exchange_failure why)
{
    struct waiter *w = context;

    (void)x;
    (void)why;
    remove_waiter(w->challenge, w);
    free(w);
}

static const struct exchange_events waiting = {.on_abort = forget};

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct challenge *c = context;
    int64_t now = clock_steady_ms();
    struct waiter *w;

    (void)fd;
    (void)what;
    while ((w = TAILQ_FIRST(&c->waiters)) && w->until_ms <= now) {
        recent_mark(c->misses, (struct str){w->token, w->token_len}, now);
        finish(c, w, STR(""));
    }
    set_deadline(c);
}

/* ---- requests ---- */

static bool is_well_formed(struct str token)
{
    if (!token.len || token.len >= CHANNEL_TOKEN_MAX)
        return false;
    for (size_t i = 0; i < token.len; i++) {
        char c = str_lower(token.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static bool is_waited_for(const struct challenge *c, struct str token)
{
    const struct waiter *w;

    TAILQ_FOREACH(w, &c->waiters, link)
    if (str_equal((struct str){w->token, w->token_len}, token))
        return true;
    return false;
}

/* Strangers may send any number of tokens; shared storage is not asked for all of them. */
static bool may_ask(struct challenge *c, int64_t now_ms)
{
    if (now_ms - c->second_ms >= 1000) {
        c->second_ms = now_ms;
        c->asked = 0;
    }
    return c->asked++ < CHALLENGE_ASKS_PER_SECOND;
}

/* Lets the request wait for control's word; false where it may not. */
static bool wait_for(struct challenge *c, const struct challenge_request *request, struct str token,
                     bool is_kept)
{
    struct str host = {request->host, request->host_len};
    int64_t now = clock_steady_ms();
    struct waiter *w;

    if (c->count >= CHALLENGE_WAITERS_MAX || recent_has(c->misses, token, now))
        return false;
    w = calloc(1, sizeof(*w));
    if (!w)
        return false;
    if (!is_waited_for(c, token) &&
        !(may_ask(c, now) && c->options.ask(c->options.context, host, token))) {
        free(w);
        return false;
    }
    w->challenge = c;
    w->request = *request;
    w->until_ms = now + c->options.wait_ms;
    w->is_kept = is_kept;
    w->token_len = token.len;
    memcpy(w->token, token.ptr, token.len);
    TAILQ_INSERT_TAIL(&c->waiters, w, link);
    c->count++;
    exchange_listen(request->exchange, &waiting, w);
    if (c->count == 1)
        set_deadline(c);
    return true;
}

/* Under the prefix of a gated name, and no token that we hold. */
static bool take_unknown(struct challenge *c, const struct challenge_request *request,
                         struct str rest, bool is_token, bool is_kept)
{
    /* Kong's probe whether the plugin answers at all. */
    bool is_probe = str_equal(rest, STR("x"));

    if (is_probe && !is_kept) {
        reply_text(request->exchange, 404, STR("Not found\n"));
        return true;
    }
    if (!is_probe && is_token && wait_for(c, request, rest, is_kept))
        return true;
    if (!is_kept)
        miss(c, request, false);
    return !is_kept;
}

bool challenge_take(struct challenge *c, const struct view *view,
                    const struct challenge_request *request, const struct http_head *http)
{
    struct str rest = str_slice(http->path, PREFIX.len, http->path.len), text;
    bool reads = http->is_head || str_equal(http->method, STR("GET"));
    bool is_token = reads && is_well_formed(rest);

    if (!str_starts(http->path, PREFIX) || !rest.len)
        return false;
    if (is_token && view_find_token(view, rest, &text)) {
        answer(c, request->exchange, text);
        return true;
    }
    if (!view_gate(view, (struct str){request->host, request->host_len}))
        return false;
    return take_unknown(c, request, rest, is_token, view_keeps_path(view, http->path));
}

/* ---- what is waited for comes ---- */

void challenge_answer(struct challenge *c, struct str token, struct str text)
{
    struct waiter *w, *next;

    if (text.len)
        recent_forget(c->misses, token);
    else
        recent_mark(c->misses, token, clock_steady_ms());
    for (w = TAILQ_FIRST(&c->waiters); w; w = next) {
        next = TAILQ_NEXT(w, link);
        if (str_equal((struct str){w->token, w->token_len}, token))
            finish(c, w, text);
    }
    set_deadline(c);
}

void challenge_renew(struct challenge *c, const struct view *view)
{
    struct waiter *w, *next;
    struct str text;

    for (w = TAILQ_FIRST(&c->waiters); w; w = next) {
        next = TAILQ_NEXT(w, link);
        if (view_find_token(view, (struct str){w->token, w->token_len}, &text))
            finish(c, w, text);
    }
    set_deadline(c);
}

size_t challenge_waiting(const struct challenge *c)
{
    return c->count;
}

/* ---- life ---- */

struct challenge *challenge_new(const struct challenge_options *options)
{
    struct challenge *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->options = *options;
    if (!c->options.wait_ms)
        c->options.wait_ms = CHALLENGE_WAIT_MS;
    TAILQ_INIT(&c->waiters);
    event_assign(&c->deadline, options->base, -1, 0, on_deadline, c);
    c->misses = recent_new(CHALLENGE_MISSES_MAX, CHALLENGE_MISS_MS);
    if (c->misses)
        return c;
    free(c);
    return NULL;
}

void challenge_free(struct challenge *c)
{
    struct waiter *w;

    if (!c)
        return;
    while ((w = TAILQ_FIRST(&c->waiters))) {
        remove_waiter(c, w);
        free(w);
    }
    event_del(&c->deadline);
    recent_free(c->misses);
    free(c);
}
