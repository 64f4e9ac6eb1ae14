/*
 * pipeline DIRECTORY-URL CA.pem HTTP-PORT N: the bare requests of N orders, one step of all of them
 * after the other, over one HTTP/2 connection: nothing is journaled, checked, stored or served.
 * What issuing could be measured against. Answers the challenges on HTTP-PORT itself. Prints
 *
 *   {"done": N, "seconds": S, "requests": N, "bad_nonces": N, "cpu": S}
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "leaf.h"
#include "reconciler/base/buf.h"
#include "reconciler/pki/csr.h"
#include "reconciler/pki/jwk.h"
#include "reconciler/pki/jws.h"
#include "reconciler/pki/key.h"

#define IN_FLIGHT 64
#define NONCES 256
#define URL_SIZE 256
#define BODY_MAX ((size_t)1 << 20)
#define POLLS_MAX 200

struct order {
    char name[LEAF_NAME_SIZE];
    char order[URL_SIZE], authorization[URL_SIZE], challenge[URL_SIZE], finalize[URL_SIZE],
        certificate[URL_SIZE];
    unsigned polls;
};

struct pipeline {
    CURLM *multi;
    struct curl_slist *headers;
    const char *trusted;
    EVP_PKEY *account;
    char account_url[URL_SIZE], thumbprint[JWK_THUMBPRINT_SIZE];
    char new_nonce[URL_SIZE], new_account[URL_SIZE], new_order[URL_SIZE];
    char nonces[NONCES][URL_SIZE];
    size_t nonce_count;
    struct order *orders;
    size_t count;
    unsigned long requests, bad_nonces;
    int listener;
};

/* One step of an order. */
struct step {
    const char *(*url)(struct pipeline *p, struct order *o);
    int (*payload)(struct order *o, struct buf *out); /* NULL = POST-as-GET */
    /* 1 done, 0 ask again, -1 hopeless. */
    int (*take)(struct order *o, const cJSON *reply, const char *location);
};

struct transfer {
    struct pipeline *p;
    CURL *easy;
    struct order *order; /* NULL = free */
    struct buf body, reply;
    char location[URL_SIZE];
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *why)
{
    fprintf(stderr, "pipeline: %s\n", why);
    _exit(1);
}

static void keep(char out[URL_SIZE], const char *text)
{
    if (!text || strlen(text) >= URL_SIZE)
        die("a URL is missing or too long");
    memcpy(out, text, strlen(text) + 1);
}

static void keep_member(char out[URL_SIZE], const cJSON *object, const char *name)
{
    keep(out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)));
}

static bool is_status(const cJSON *object, const char *status)
{
    const char *seen = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "status"));

    return seen && strcmp(seen, status) == 0;
}

/* ---- the steps ---- */

static const char *order_new_url(struct pipeline *p, struct order *o)
{
    (void)o;
    return p->new_order;
}

static const char *order_url(struct pipeline *p, struct order *o)
{
    (void)p;
    return o->order;
}

static const char *authorization_url(struct pipeline *p, struct order *o)
{
    (void)p;
    return o->authorization;
}

static const char *challenge_url(struct pipeline *p, struct order *o)
{
    (void)p;
    return o->challenge;
}

static const char *finalize_url(struct pipeline *p, struct order *o)
{
    (void)p;
    return o->finalize;
}

static const char *certificate_url(struct pipeline *p, struct order *o)
{
    (void)p;
    return o->certificate;
}

static int order_payload(struct order *o, struct buf *out)
{
    return buf_printf(out, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", o->name);
}

static int challenge_payload(struct order *o, struct buf *out)
{
    (void)o;
    return buf_cstr(out, "{}");
}

static int finalize_payload(struct order *o, struct buf *out)
{
    struct error e = {0};
    struct buf der = BUF_INIT(8192);
    EVP_PKEY *key = key_generate(KEY_P256, &e);
    int rc = key ? csr_build(key, str_from(o->name), &der, &e) : -1;

    if (rc == 0) {
        buf_cstr(out, "{\"csr\":\"");
        jws_base64url(out, buf_view(&der));
        rc = buf_cstr(out, "\"}");
    }
    EVP_PKEY_free(key);
    buf_free(&der);
    return rc;
}

static int take_order(struct order *o, const cJSON *reply, const char *location)
{
    const cJSON *first =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "authorizations"), 0);

    keep(o->order, location);
    keep(o->authorization, cJSON_GetStringValue(first));
    keep_member(o->finalize, reply, "finalize");
    return 1;
}

static int take_authorization(struct order *o, const cJSON *reply, const char *location)
{
    const cJSON *challenge;

    (void)location;
    cJSON_ArrayForEach(challenge, cJSON_GetObjectItemCaseSensitive(reply, "challenges"))
    {
        const char *type =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(challenge, "type"));
        if (type && strcmp(type, "http-01") == 0) {
            keep_member(o->challenge, challenge, "url");
            return 1;
        }
    }
    return -1;
}

static int take_anything(struct order *o, const cJSON *reply, const char *location)
{
    (void)o;
    (void)reply;
    (void)location;
    return 1;
}

static int poll_ready(struct order *o, const cJSON *reply, const char *location)
{
    (void)location;
    if (is_status(reply, "ready"))
        return 1;
    return is_status(reply, "pending") && ++o->polls < POLLS_MAX ? 0 : -1;
}

static int poll_valid(struct order *o, const cJSON *reply, const char *location)
{
    (void)location;
    if (is_status(reply, "valid")) {
        keep_member(o->certificate, reply, "certificate");
        return 1;
    }
    return is_status(reply, "processing") && ++o->polls < 2 * POLLS_MAX ? 0 : -1;
}

static const struct step steps[] = {
    {order_new_url, order_payload, take_order},
    {authorization_url, NULL, take_authorization},
    {challenge_url, challenge_payload, take_anything},
    {order_url, NULL, poll_ready},
    {finalize_url, finalize_payload, take_anything},
    {order_url, NULL, poll_valid},
    {certificate_url, NULL, take_anything},
};

/* ---- transfers ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *t = context;

    return buf_append(&t->reply, bytes, size * count) ? 0 : size * count;
}

/* The value of header `name` in a line, or NULL; cuts the line's end off. */
static const char *header(char *line, size_t size, const char *name)
{
    size_t n = strlen(name);

    if (size < n + 2 || strncasecmp(line, name, n) != 0)
        return NULL;
    line[size - 2] = '\0';
    return line + n + strspn(line + n, " ");
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    const char *value = header(line, size * count, "replay-nonce:");

    if (value && t->p->nonce_count < NONCES)
        keep(t->p->nonces[t->p->nonce_count++], value);
    value = header(line, size * count, "location:");
    if (value)
        keep(t->location, value);
    return size * count;
}

static void open_transfer(struct pipeline *p, struct transfer *t)
{
    *t = (struct transfer){.p = p, .easy = curl_easy_init()};
    t->body = (struct buf)BUF_INIT(BODY_MAX);
    t->reply = (struct buf)BUF_INIT(BODY_MAX);
    curl_easy_setopt(t->easy, CURLOPT_CAINFO, p->trusted);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, p->headers);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
}

static void close_transfer(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    buf_free(&t->body);
    buf_free(&t->reply);
}

/* One request on its own: the directory, a nonce. */
static cJSON *fetch(struct pipeline *p, const char *url, bool is_head)
{
    struct transfer t;
    cJSON *reply;

    open_transfer(p, &t);
    curl_easy_setopt(t.easy, CURLOPT_URL, url);
    curl_easy_setopt(t.easy, CURLOPT_NOBODY, is_head ? 1L : 0L);
    if (curl_easy_perform(t.easy))
        die("the CA does not answer");
    reply = is_head ? NULL : cJSON_ParseWithLength(t.reply.data, t.reply.len);
    close_transfer(&t);
    return reply;
}

/* Signs and posts; the nonce comes off the pile. */
static void post(struct transfer *t, const char *url, struct str payload)
{
    struct pipeline *p = t->p;
    struct jws_header h = {.kid = p->account_url[0] ? str_from(p->account_url) : STR_NONE,
                           .nonce = str_from(p->nonces[--p->nonce_count]),
                           .url = str_from(url)};
    struct error e = {0};

    buf_clear(&t->body);
    buf_clear(&t->reply);
    if (jws_sign(p->account, &h, payload, &t->body, &e))
        die(e.message);
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)t->body.len);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body.data);
    p->requests++;
}

static bool is_bad_nonce(const struct transfer *t, long status)
{
    return status == 400 && t->reply.data && strstr(t->reply.data, ":badNonce");
}

static void make_account(struct pipeline *p)
{
    static const char payload[] = "{\"termsOfServiceAgreed\":true}";
    struct transfer t;
    long status = 0;

    open_transfer(p, &t);
    do {
        if (p->nonce_count == 0)
            fetch(p, p->new_nonce, true);
        post(&t, p->new_account, str_from(payload));
        if (curl_easy_perform(t.easy))
            die("no account");
        curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &status);
    } while (is_bad_nonce(&t, status));
    if (status != 201)
        die("no account");
    keep(p->account_url, t.location);
    close_transfer(&t);
}

/* ---- a step of all orders ---- */

static void start(struct transfer *t, const struct step *s, struct order *o)
{
    struct buf payload = BUF_INIT(BODY_MAX);

    t->order = o;
    if (s->payload && s->payload(o, &payload))
        die("memory");
    post(t, s->url(t->p, o), buf_view(&payload));
    curl_multi_add_handle(t->p->multi, t->easy);
    buf_free(&payload);
}

/* What became of a transfer: 1 done, 0 once more. */
static int settle(struct transfer *t, const struct step *s, CURLcode code)
{
    cJSON *reply;
    long status = 0;
    int rc;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code)
        die(curl_easy_strerror(code));
    if (is_bad_nonce(t, status)) {
        t->p->bad_nonces++;
        return 0;
    }
    if (status < 200 || status > 299)
        die(t->reply.data ? t->reply.data : "an error without a body");
    reply = cJSON_ParseWithLength(t->reply.data ? t->reply.data : "", t->reply.len);
    rc = s->take(t->order, reply, t->location);
    cJSON_Delete(reply);
    if (rc < 0)
        die(t->reply.data);
    return rc;
}

/* Takes finished transfers; those to be repeated go onto `again`. Gives how many are done. */
static size_t reap(struct pipeline *p, const struct step *s, struct order **again, size_t *repeats)
{
    struct transfer *t;
    CURLMsg *message;
    size_t done = 0;
    int left;

    while ((message = curl_multi_info_read(p->multi, &left))) {
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(p->multi, t->easy);
        if (settle(t, s, code))
            done++;
        else
            again[(*repeats)++] = t->order;
        t->order = NULL;
    }
    return done;
}

static void run_step(struct pipeline *p, const struct step *s, struct transfer *transfers)
{
    struct order **again = calloc(p->count, sizeof(struct order *));
    size_t next = 0, done = 0, repeats = 0;
    int running;

    while (done < p->count) {
        for (size_t i = 0; i < IN_FLIGHT && (repeats || next < p->count); i++) {
            if (transfers[i].order)
                continue;
            if (p->nonce_count == 0 && next + repeats == 0)
                fetch(p, p->new_nonce, true);
            if (p->nonce_count == 0)
                break;
            start(&transfers[i], s, repeats ? again[--repeats] : &p->orders[next++]);
        }
        curl_multi_perform(p->multi, &running);
        done += reap(p, s, again, &repeats);
        if (running)
            curl_multi_poll(p->multi, NULL, 0, 100, NULL);
        else if (p->nonce_count == 0)
            fetch(p, p->new_nonce, true);
    }
    free(again);
}

/* ---- challenges ---- */

static void answer(struct pipeline *p, int fd)
{
    static const char path[] = "/.well-known/acme-challenge/";
    const struct timeval bound = {.tv_sec = 5};
    char request[4096], reply[1024];
    const char *token;
    ssize_t n;
    int size;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    n = recv(fd, request, sizeof(request) - 1, 0);
    request[n > 0 ? n : 0] = '\0';
    token = strstr(request, path);
    if (token) {
        token += sizeof(path) - 1;
        n = (ssize_t)strcspn(token, " ");
        size =
            snprintf(reply, sizeof(reply),
                     "HTTP/1.1 200 OK\r\nContent-Length: %zd\r\nConnection: close\r\n\r\n%.*s.%s",
                     n + 1 + (ssize_t)strlen(p->thumbprint), (int)n, token, p->thumbprint);
        if (send(fd, reply, (size_t)size, MSG_NOSIGNAL) != size)
            fprintf(stderr, "pipeline: a validator left\n");
    }
    close(fd);
}

static void *serve(void *context)
{
    struct pipeline *p = context;

    for (;;) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        answer(p, fd);
    }
}

static void listen_on(struct pipeline *p, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pthread_t thread;
    int on = 1;

    to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(p->listener, (const struct sockaddr *)&to, sizeof(to)) || listen(p->listener, 1024) ||
        pthread_create(&thread, NULL, serve, p))
        die("cannot listen");
}

/* ---- all of it ---- */

static void prepare(struct pipeline *p, char **argv)
{
    struct error e = {0};
    cJSON *directory;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    p->multi = curl_multi_init();
    p->trusted = argv[2];
    p->headers = curl_slist_append(NULL, "Content-Type: application/jose+json");
    p->account = key_generate(KEY_P256, &e);
    if (!p->account || jwk_thumbprint(p->account, p->thumbprint, &e))
        die(e.message);
    directory = fetch(p, argv[1], false);
    keep_member(p->new_nonce, directory, "newNonce");
    keep_member(p->new_account, directory, "newAccount");
    keep_member(p->new_order, directory, "newOrder");
    cJSON_Delete(directory);
    make_account(p);
    p->count = strtoul(argv[4], NULL, 10);
    p->orders = calloc(p->count, sizeof(struct order));
    for (size_t i = 0; i < p->count; i++)
        leaf_name((unsigned)i, p->orders[i].name);
    for (int i = 0; i < IN_FLIGHT; i++)
        fetch(p, p->new_nonce, true);
}

int main(int argc, char **argv)
{
    static struct transfer transfers[IN_FLIGHT];
    static struct pipeline p;
    struct rusage used;
    double began;

    if (argc != 5)
        return 64;
    prepare(&p, argv);
    listen_on(&p, argv[3]);
    for (size_t i = 0; i < IN_FLIGHT; i++)
        open_transfer(&p, &transfers[i]);
    began = now();
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        run_step(&p, &steps[i], transfers);
    began = now() - began;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"done\": %zu, \"seconds\": %.3f, \"requests\": %lu, \"bad_nonces\": %lu, "
           "\"cpu\": %.3f}\n",
           p.count, began, p.requests, p.bad_nonces,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
