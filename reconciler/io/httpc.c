#include "reconciler/io/httpc.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reconciler/io/resolve.h"
#include "reconciler/io/special_address.h"
#include "reconciler/io/destination.h"

#define HTTPC_CONNECTIONS_PER_HOST 2
#define TRUST_HINT "; acme_trusted_certificate names who is trusted"

/* The headers that somebody asks for, Link apart since it may come several times. */
enum kept { KEPT_CONTENT_TYPE, KEPT_LOCATION, KEPT_NONCE, KEPT_RETRY_AFTER, KEPT_DATE, KEPT_COUNT };

static const char *const kept_names[KEPT_COUNT] = {
    [KEPT_CONTENT_TYPE] = "content-type",
    [KEPT_LOCATION] = "location",
    [KEPT_NONCE] = "replay-nonce",
    [KEPT_RETRY_AFTER] = "retry-after",
    [KEPT_DATE] = "date",
};

/* A value by its place in reply_head, which still grows. */
struct kept_header {
    size_t at, len;
    bool is_set;
};

struct transfer {
    TAILQ_ENTRY(transfer) link;
    struct httpc *owner;
    uint64_t cookie;
    CURL *easy;
    struct curl_slist *headers, *pinned;
    char *url;
    char *named_by; /* as the request's; "" = nobody */
    char *proxy;    /* from the environment; NULL = none */
    char curl_error[CURL_ERROR_SIZE];
    enum http_method method;
    struct buf body;       /* ours, going out */
    struct buf reply_body; /* with its maximum */
    struct buf
        reply_head; /* the header values, back to back: the views below are offsets until done */
    struct kept_header kept[KEPT_COUNT], links[HTTP_LINKS_MAX];
    size_t link_count;
    unsigned redirects;
    bool private_allowed, first_resolved;
    bool is_resolving, is_abandoned; /* the resolver still holds it */
    bool failed;
    struct error error;
    long status;
};

TAILQ_HEAD(transfer_list, transfer);

struct httpc {
    struct httpc_options options;
    char *trusted_certificate, *user_agent;
    CURLM *multi;
    struct event *timer, *ready;
    struct transfer_list running, finished;
};

static void start(struct transfer *t);

/* ---- one transfer ---- */

static void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->pinned);
    buf_free(&t->body);
    buf_free(&t->reply_body);
    buf_free(&t->reply_head);
    free(t->url);
    free(t->named_by);
    free(t->proxy);
    free(t);
}

static void finish(struct transfer *t)
{
    struct httpc *h = t->owner;

    TAILQ_REMOVE(&h->running, t, link);
    TAILQ_INSERT_TAIL(&h->finished, t, link);
    event_active(h->ready, EV_TIMEOUT, 0);
}

static void fail(struct transfer *t, const struct error *e)
{
    t->failed = true;
    t->error = *e;
    snprintf(t->error.file, sizeof(t->error.file), "%s", t->url ? t->url : "");
    finish(t);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    return buf_append(&t->reply_body, data, size * count) ? 0 : size * count;
}

static void keep_header(struct transfer *t, struct str name, struct str value)
{
    const struct kept_header kept = {t->reply_head.len, value.len, true};

    if (buf_str(&t->reply_head, value))
        return;
    for (size_t i = 0; i < KEPT_COUNT; i++)
        if (str_equal_nocase(name, str_from(kept_names[i])))
            t->kept[i] = kept;
    if (str_equal_nocase(name, STR("link")) && t->link_count < HTTP_LINKS_MAX)
        t->links[t->link_count++] = kept;
}

static struct str view(const struct transfer *t, const struct kept_header *h)
{
    return h->is_set ? str_slice(buf_view(&t->reply_head), h->at, h->at + h->len) : STR_NONE;
}

static void forget_reply(struct transfer *t)
{
    buf_clear(&t->reply_body);
    buf_clear(&t->reply_head);
    memset(t->kept, 0, sizeof(t->kept));
    t->link_count = 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str line = {data, size * count}, value;
    struct str name;

    if (str_starts(line, STR("HTTP/"))) { /* a new head: what came before was 1xx */
        forget_reply(t);
        return size * count;
    }
    name = str_cut(line, ':', &value);
    if (value.ptr)
        keep_header(t, str_trim(name), str_trim(value));
    return t->reply_head.failed ? 0 : size * count;
}

/* libcurl has a limit of its own for a line of the head, which it calls memory, or later TOO_LARGE.
 */
static bool is_line_too_long(CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE)
        return true;
#endif
    return code == CURLE_OUT_OF_MEMORY;
}

/* What was too long, and its limit, is clearer than libcurl's "failed writing". */
static void explain_failure(struct transfer *t, CURLcode code, struct error *e)
{
    const char *text = t->curl_error[0] ? t->curl_error : curl_easy_strerror(code);

    if (t->reply_body.failed)
        error_set(e, ERROR_PROTOCOL, "the answer has more than %zu bytes", t->reply_body.max);
    else if (t->reply_head.failed)
        error_set(e, ERROR_PROTOCOL, "the answer has more than %zu bytes of headers",
                  HTTPC_HEADERS_MAX);
    else if (is_line_too_long(code))
        error_set(e, ERROR_PROTOCOL, "the answer has a header of more than %d bytes",
                  HTTPC_HEADER_LINE_MAX);
    else
        error_set(e, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_NETWORK, "%s%s", text,
                  strstr(text, "SSL certificate problem") ? TRUST_HINT : "");
}

/* ---- redirects ---- */

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Points t->url at the Location, taken relative to the old one. */
static int follow(struct transfer *t, struct error *e)
{
    char *next;

    if (++t->redirects > HTTPC_REDIRECTS_MAX)
        return error_set(e, ERROR_PROTOCOL, "more than %d redirects", HTTPC_REDIRECTS_MAX);
    next = destination_relative(t->url, view(t, &t->kept[KEPT_LOCATION]), e);
    if (!next)
        return -1;
    free(t->url);
    t->url = next;
    return 0;
}

/* ---- from libcurl ---- */

static void complete(struct httpc *h, CURL *easy, CURLcode code)
{
    struct transfer *t = NULL;
    struct error e;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &t->status);
    curl_multi_remove_handle(h->multi, easy);
    if (code != CURLE_OK) {
        explain_failure(t, code, &e);
        fail(t, &e);
    } else if (is_redirect(t->status) && t->kept[KEPT_LOCATION].is_set && t->method == HTTP_GET) {
        if (follow(t, &e)) {
            fail(t, &e);
        } else {
            forget_reply(t);
            start(t);
        }
    } else {
        finish(t);
    }
}

static void collect(struct httpc *h)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(h->multi, &left)))
        if (m->msg == CURLMSG_DONE)
            complete(h, m->easy_handle, m->data.result);
}

static void on_socket_event(int fd, short what, void *arg)
{
    struct httpc *h = arg;
    int running,
        flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

    curl_multi_socket_action(h->multi, fd, flags, &running);
    collect(h);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_data)
{
    struct httpc *h = arg;
    struct event *event = socket_data;
    short kinds = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                          (what & CURL_POLL_OUT ? EV_WRITE : 0));

    (void)easy;
    if (event)
        event_free(event);
    event = NULL;
    if (what != CURL_POLL_REMOVE) {
        event = event_new(h->options.base, fd, kinds, on_socket_event, h);
        if (!event || event_add(event, NULL))
            return -1;
    }
    curl_multi_assign(h->multi, fd, event);
    return 0;
}

static int on_timer_wish(CURLM *multi, long ms, void *arg)
{
    struct httpc *h = arg;
    struct timeval wait = {ms / 1000, ms % 1000 * 1000};

    (void)multi;
    if (ms < 0)
        event_del(h->timer);
    else
        event_add(h->timer, &wait);
    return 0;
}

static void on_timer(int fd, short what, void *arg)
{
    struct httpc *h = arg;
    int running;

    (void)fd;
    (void)what;
    curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(h);
}

static void on_ready(int fd, short what, void *arg)
{
    struct httpc *h = arg;

    (void)fd;
    (void)what;
    if (!TAILQ_EMPTY(&h->finished))
        h->options.ready(h->options.context);
}

/* ---- starting ---- */

static int pin(struct transfer *t, const char *host, const char *port, const char *addresses)
{
    char *entry = NULL;

    curl_slist_free_all(t->pinned);
    t->pinned = NULL;
    if (asprintf(&entry, "%s:%s:%s", host, port, addresses) < 0)
        return -1;
    t->pinned = curl_slist_append(NULL, entry);
    free(entry);
    return t->pinned ? 0 : -1;
}

static CURLcode set_method(struct transfer *t)
{
    if (t->method == HTTP_HEAD)
        return curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    if (t->method == HTTP_GET)
        return curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body.data ? t->body.data : "");
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    if (t->method == HTTP_POST)
        return CURLE_OK;
    return curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, http_method_name(t->method));
}

static CURLcode configure(struct transfer *t, int64_t timeout_ms)
{
    struct httpc *h = t->owner;

    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_error);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPC_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, h->user_agent);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_PROXY, t->proxy ? t->proxy : "");
    if (h->trusted_certificate)
        curl_easy_setopt(t->easy, CURLOPT_CAINFO, h->trusted_certificate);
    if (h->trusted_certificate && !h->options.trusts_system)
        curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    return set_method(t);
}

static void on_resolved(void *context, const char *addresses, const struct error *e);

/* Is it known whether private addresses are allowed, or does the first look at t->url tell? */
static bool is_judged(const struct transfer *t)
{
    return t->first_resolved || !t->named_by[0];
}

static void start(struct transfer *t)
{
    char *host = NULL, *port = NULL;
    struct error e;

    if (destination_connect_to(is_judged(t) ? t->url : t->named_by, t->proxy, &host, &port, &e)) {
        fail(t, &e);
        return;
    }
    t->is_resolving = true;
    resolver_find(t->owner->options.resolver, host, on_resolved, t);
    free(host);
    free(port);
}

static void launch(struct transfer *t, const char *addresses)
{
    char *host = NULL, *port = NULL;
    struct error e;

    if (destination_connect_to(t->url, t->proxy, &host, &port, &e) ||
        pin(t, host, port, addresses)) {
        error_memory(&e);
        fail(t, &e);
    } else {
        curl_easy_setopt(t->easy, CURLOPT_URL, t->url);
        curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->pinned);
        if (curl_multi_add_handle(t->owner->multi, t->easy)) {
            error_memory(&e);
            fail(t, &e);
        }
    }
    free(host);
    free(port);
}

static void on_resolved(void *context, const char *addresses, const struct error *failure)
{
    struct transfer *t = context;
    bool was_judged = is_judged(t);
    struct error e;

    t->is_resolving = false;
    if (t->is_abandoned) {
        transfer_free(t);
        return;
    }
    if (failure) {
        fail(t, failure);
        return;
    }
    if (!t->first_resolved) {
        t->first_resolved = true;
        t->private_allowed = special_address_among(addresses);
    } else if (!t->private_allowed && special_address_among(addresses)) {
        error_set(&e, ERROR_PROTOCOL, "%s a private address",
                  t->redirects ? "a redirect to" : "the CA names a URL at");
        fail(t, &e);
        return;
    }
    if (was_judged)
        launch(t, addresses);
    else
        start(t);
}

/* ---- the face ---- */

static int add_header(struct transfer *t, const char *name, struct str value)
{
    struct curl_slist *grown;
    char *line = NULL;

    if (!value.ptr)
        return 0;
    if (asprintf(&line, "%s: %.*s", name, STR_ARG(value)) < 0)
        return -1;
    grown = curl_slist_append(t->headers, line);
    free(line);
    if (!grown)
        return -1;
    t->headers = grown;
    return 0;
}

static int copy_request(struct transfer *t, const struct http_request *request)
{
    const char *proxy;

    t->method = request->method;
    t->body = BUF_INIT(request->body.len + 1);
    t->url = str_dup(request->url);
    t->named_by = str_dup(request->named_by);
    proxy = destination_proxy(t->url ? t->url : "");
    if (!t->url || !t->named_by || (proxy && !(t->proxy = strdup(proxy))))
        return -1;
    return buf_str(&t->body, request->body);
}

static struct transfer *transfer_new(struct httpc *h, const struct http_request *request,
                                     uint64_t cookie)
{
    struct transfer *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->owner = h;
    t->cookie = cookie;
    t->reply_body = BUF_INIT(request->body_max);
    t->reply_head = BUF_INIT(HTTPC_HEADERS_MAX);
    t->easy = curl_easy_init();
    if (!t->easy || copy_request(t, request) ||
        add_header(t, "Content-Type", request->content_type) ||
        add_header(t, "Accept", request->accept) || add_header(t, "Accept-Language", STR("en")) ||
        add_header(t, "Expect", STR("")) || configure(t, request->timeout_ms)) {
        transfer_free(t);
        return NULL;
    }
    return t;
}

int httpc_send(struct httpc *h, const struct http_request *request, uint64_t cookie,
               struct error *e)
{
    struct transfer *t;

    if (!str_starts(request->url, STR("https://")))
        return error_set(e, ERROR_PROTOCOL, "only https URLs are asked");
    t = transfer_new(h, request, cookie);
    if (!t)
        return error_memory(e);
    TAILQ_INSERT_TAIL(&h->running, t, link);
    start(t);
    return 0;
}

bool httpc_next(struct httpc *h, struct httpc_done *done)
{
    struct transfer *t = TAILQ_FIRST(&h->finished);
    struct http_reply *r = &done->reply;

    if (!t)
        return false;
    TAILQ_REMOVE(&h->finished, t, link);
    *done = (struct httpc_done){.cookie = t->cookie, .ok = !t->failed, .transfer = t};
    if (t->failed) {
        done->error = t->error;
        return true;
    }
    r->status = (int)t->status;
    r->content_type = view(t, &t->kept[KEPT_CONTENT_TYPE]);
    r->location = view(t, &t->kept[KEPT_LOCATION]);
    r->replay_nonce = view(t, &t->kept[KEPT_NONCE]);
    r->retry_after = view(t, &t->kept[KEPT_RETRY_AFTER]);
    r->date = view(t, &t->kept[KEPT_DATE]);
    for (; r->link_count < t->link_count; r->link_count++)
        r->links[r->link_count] = view(t, &t->links[r->link_count]);
    r->body = buf_view(&t->reply_body);
    return true;
}

void httpc_release(struct httpc *h, struct httpc_done *done)
{
    (void)h;
    transfer_free(done->transfer);
    done->transfer = NULL;
}

struct httpc *httpc_new(const struct httpc_options *options, struct error *e)
{
    struct httpc *h = calloc(1, sizeof(*h));

    if (!h)
        return error_no_memory(e);
    h->options = *options;
    TAILQ_INIT(&h->running);
    TAILQ_INIT(&h->finished);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    h->multi = curl_multi_init();
    h->timer = evtimer_new(options->base, on_timer, h);
    h->ready = evtimer_new(options->base, on_ready, h);
    h->user_agent = strdup(options->user_agent);
    if (options->trusted_certificate)
        h->trusted_certificate = strdup(options->trusted_certificate);
    if (!h->multi || !h->timer || !h->ready || !h->user_agent ||
        (options->trusted_certificate && !h->trusted_certificate)) {
        httpc_free(h);
        return error_no_memory(e);
    }
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HTTPC_CONNECTIONS_PER_HOST);
    return h;
}

void httpc_free(struct httpc *h)
{
    struct transfer *t;

    if (!h)
        return;
    while ((t = TAILQ_FIRST(&h->running))) {
        TAILQ_REMOVE(&h->running, t, link);
        if (t->is_resolving) {
            t->is_abandoned = true; /* the resolver's last word frees it */
            continue;
        }
        curl_multi_remove_handle(h->multi, t->easy);
        transfer_free(t);
    }
    while ((t = TAILQ_FIRST(&h->finished))) {
        TAILQ_REMOVE(&h->finished, t, link);
        transfer_free(t);
    }
    if (h->multi)
        curl_multi_cleanup(h->multi);
    if (h->timer)
        event_free(h->timer);
    if (h->ready)
        event_free(h->ready);
    free(h->trusted_certificate);
    free(h->user_agent);
    free(h);
}
