#include "reconciler/net/http1.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/net/http1_body.h"

/* ---- a reader of whole connections, as http_conn reads them ---- */

struct outcome {
    size_t requests;    /* whole ones, bodies read */
    bool is_refused;    /* at any place */
    bool is_incomplete; /* more bytes are needed */
    enum http1_refusal refusal;
    size_t body_bytes;
};

/* Bytes come in pieces of `step`; what the parser asks for again is what it has not used. */
static struct outcome read_all(struct str bytes, size_t step)
{
    struct outcome o = {0};
    struct http1_request *r = malloc(sizeof(*r));
    struct http1_scan scan = {0};
    struct http1_body body;
    size_t from = 0, have = 0;
    bool in_body = false;

    for (;;) {
        struct str view = {bytes.ptr + from, have - from}, data;
        long used;
        if (in_body) {
            used = http1_body_take(&body, view, &data);
            o.body_bytes += used > 0 ? data.len : 0;
        } else {
            used = view.len ? http1_scan(&scan, view, &o.refusal) : 0;
        }
        if (used > 0 && !in_body) {
            if (http1_parse(str_slice(view, 0, (size_t)used), r, &o.refusal))
                used = -1;
            else
                http1_body_init(&body, r);
            in_body = true;
        }
        if (used < 0) {
            o.is_refused = true;
            break;
        }
        from += (size_t)used;
        if (in_body && http1_body_is_complete(&body)) {
            o.requests++;
            in_body = false;
            scan = (struct http1_scan){0};
        }
        if (used > 0)
            continue;
        if (have == bytes.len)
            break;
        have = have + step < bytes.len ? have + step : bytes.len;
    }
    o.is_incomplete = !o.is_refused && (in_body || from < bytes.len);
    free(r);
    return o;
}

/* The verdict must not depend on how the bytes come in. */
static struct outcome read_in_pieces(struct str bytes)
{
    struct outcome whole = read_all(bytes, bytes.len ? bytes.len : 1);

    for (size_t step = 1; step < bytes.len && step < 40; step++) {
        struct outcome o = read_all(bytes, step);
        CU_ASSERT_EQUAL(o.is_refused, whole.is_refused);
        CU_ASSERT_EQUAL(o.is_incomplete, whole.is_incomplete);
        CU_ASSERT_EQUAL(o.requests, whole.requests);
        CU_ASSERT_EQUAL(o.body_bytes, whole.body_bytes);
        if (o.is_refused)
            CU_ASSERT_EQUAL(o.refusal, whole.refusal);
    }
    return whole;
}

/* ---- vectors ---- */

#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

enum verdict { ACCEPT, REJECT };

static const struct {
    const char *name;
    struct str bytes;
    enum verdict verdict;
    size_t requests;
} vectors[] = {
    {"plain", STR_INIT("GET / HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 1},
    {"three pipelined",
     STR_INIT("GET /1 HTTP/1.1\r\n" HOST "\r\nHEAD /2 HTTP/1.1\r\n" HOST
              "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n"),
     ACCEPT, 3},
    {"body then request",
     STR_INIT(POST "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 2},
    {"chunks", STR_INIT(CHUNKED "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), ACCEPT, 1},
    {"chunk extension", STR_INIT(CHUNKED "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n"), ACCEPT, 1},
    {"trailers are dropped", STR_INIT(CHUNKED "0\r\nX-T: 1\r\nHost: b\r\n\r\n"), ACCEPT, 1},
    {"chunked in capitals", STR_INIT(POST "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n"), ACCEPT,
     1},
    {"empty line first", STR_INIT("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 1},
    {"three empty lines first", STR_INIT("\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"absolute target", STR_INIT("GET http://b:80/x?y HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 1},
    {"absolute target without path", STR_INIT("GET HTTP://b HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 1},
    {"absolute target, user", STR_INIT("GET http://u@b/ HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"absolute target, no host", STR_INIT("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"other scheme", STR_INIT("GET ftp://b/ HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"OPTIONS *", STR_INIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), ACCEPT, 1},
    {"GET *", STR_INIT("GET * HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"CONNECT", STR_INIT("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"relative target", STR_INIT("GET x HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"fragment", STR_INIT("GET /x#y HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"two spaces", STR_INIT("GET  / HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"space in target", STR_INIT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"space behind version", STR_INIT("GET / HTTP/1.1 \r\n" HOST "\r\n"), REJECT, 0},
    {"tab for space", STR_INIT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"HTTP/0.9", STR_INIT("GET /\r\n" HOST "\r\n"), REJECT, 0},
    {"HTTP/1.2", STR_INIT("GET / HTTP/1.2\r\n" HOST "\r\n"), REJECT, 0},
    {"HTTP/2 preface", STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), REJECT, 0},
    {"http/1.1 in small letters", STR_INIT("GET / http/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"HTTP/1.0 without host", STR_INIT("GET / HTTP/1.0\r\n\r\n"), ACCEPT, 1},
    {"HTTP/1.0 with two hosts", STR_INIT("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), REJECT, 0},
    {"TLS hello", STR_INIT("\x16\x03\x01\x02\x00\x01"), REJECT, 0},
    {"empty Host", STR_INIT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), REJECT, 0},
    {"Host with path", STR_INIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), REJECT, 0},
    {"Host list", STR_INIT("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), REJECT, 0},
    {"Host with blank", STR_INIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), REJECT, 0},
    {"Host, port too big", STR_INIT("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), REJECT, 0},
    {"Host, port not a number", STR_INIT("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), REJECT, 0},
    {"Host, empty port", STR_INIT("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), ACCEPT, 1},
    {"Host, IPv6", STR_INIT("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), ACCEPT, 1},
    {"Host, open bracket", STR_INIT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), REJECT, 0},
    {"Host, bracket of letters", STR_INIT("GET / HTTP/1.1\r\nHost: [xyz]\r\n\r\n"), REJECT, 0},
    {"length and coding",
     STR_INIT(POST "Transfer-Encoding: chunked\r\nContent-Length: "
                   "5\r\n\r\n0\r\n\r\n"),
     REJECT, 0},
    {"coding twice",
     STR_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n0\r\n\r\n"),
     REJECT, 0},
    {"coding list", STR_INIT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), REJECT,
     0},
    {"empty coding", STR_INIT(POST "Transfer-Encoding:\r\n\r\n"), REJECT, 0},
    {"gzip", STR_INIT(POST "Transfer-Encoding: gzip\r\n\r\n"), REJECT, 0},
    {"lengths that agree", STR_INIT(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), REJECT,
     0},
    {"empty length", STR_INIT(POST "Content-Length:\r\n\r\n"), REJECT, 0},
    {"negative length", STR_INIT(POST "Content-Length: -1\r\n\r\n"), REJECT, 0},
    {"length in hex", STR_INIT(POST "Content-Length: 0x1\r\n\r\na"), REJECT, 0},
    {"length over 63 bits", STR_INIT(POST "Content-Length: 9223372036854775808\r\n\r\n"), REJECT,
     0},
    {"length with 20 digits", STR_INIT(POST "Content-Length: 00000000000000000001\r\n\r\na"),
     REJECT, 0},
    {"blank before colon", STR_INIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), REJECT, 0},
    {"no colon", STR_INIT("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), REJECT, 0},
    {"no name", STR_INIT("GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n"), REJECT, 0},
    {"folded line", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"), REJECT, 0},
    {"DEL in value", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: abcdefgh\x7f\r\n\r\n"), REJECT, 0},
    {"control in value", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: abcdefgh\x1fijk\r\n\r\n"), REJECT,
     0},
    {"tab in value", STR_INIT("GET / HTTP/1.1\r\n" HOST "X:\ta\tb c defghij\t\r\n\r\n"), ACCEPT, 1},
    {"high bytes in value", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: \xc3\xa4\xff\r\n\r\n"), ACCEPT,
     1},
    {"CR in value", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), REJECT, 0},
    {"CR CR LF", STR_INIT("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n"), REJECT, 0},
    {"bare LF in the middle", STR_INIT("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), REJECT, 0},
    {"LF first", STR_INIT("\nGET / HTTP/1.1\r\n" HOST "\r\n"), REJECT, 0},
    {"chunk without size", STR_INIT(CHUNKED "\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, blank first", STR_INIT(CHUNKED " 3\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, sign", STR_INIT(CHUNKED "+3\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, 16 digits", STR_INIT(CHUNKED "0000000000000003\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, too little data", STR_INIT(CHUNKED "4\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, NUL in extension", STR_INIT(CHUNKED "3;\0\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"chunk, CR in extension", STR_INIT(CHUNKED "3;\rx\r\nabc\r\n0\r\n\r\n"), REJECT, 0},
    {"trailer folded", STR_INIT(CHUNKED "0\r\nX: a\r\n b\r\n\r\n"), REJECT, 0},
    {"trailer bare LF", STR_INIT(CHUNKED "0\r\nX: a\n\r\n"), REJECT, 0},
    {"unknown expectation", STR_INIT(POST "Expect: magic\r\nContent-Length: 1\r\n\r\na"), REJECT,
     0},
};

static void test_vectors(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        struct outcome o = read_in_pieces(vectors[i].bytes);
        bool accepted = !o.is_refused && !o.is_incomplete;
        if (accepted != (vectors[i].verdict == ACCEPT) || o.requests != vectors[i].requests)
            fprintf(stderr, "%s: accepted %d, %zu requests\n", vectors[i].name, accepted,
                    o.requests);
        CU_ASSERT_EQUAL(accepted, vectors[i].verdict == ACCEPT);
        CU_ASSERT_EQUAL(o.requests, vectors[i].requests);
    }
}

/* C escapes as the shared vectors use them. */
static size_t unescape(const char *text, char *out)
{
    size_t len = 0;

    for (; *text && *text != '\t' && *text != '\n'; text++) {
        char c = *text;
        if (c == '\\') {
            c = *++text;
            if (c == 'x') {
                char hex[3] = {text[1], text[2], '\0'};
                c = (char)strtol(hex, NULL, 16);
                text += 2;
            } else {
                c = (char)(c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? 0 : c);
            }
        }
        out[len++] = c;
    }
    return len;
}

static void test_shared_vectors(void)
{
    FILE *file = fopen("../shared/cases/vectors/http1_strict.tsv", "r");
    char line[4096], bytes[4096];
    size_t seen = 0;

    if (!file) {
        fprintf(stderr, "skipped: ../shared/cases/vectors/http1_strict.tsv is not there\n");
        return;
    }
    while (fgets(line, sizeof(line), file)) {
        char *text = strchr(line, '\t'), *verdict = text ? strchr(text + 1, '\t') : NULL;
        struct outcome o;
        bool accepted;
        if (line[0] == '#' || !verdict)
            continue;
        o = read_in_pieces((struct str){bytes, unescape(text + 1, bytes)});
        accepted = !o.is_refused && !o.is_incomplete;
        seen++;
        if (strncmp(verdict + 1, "either", 6) == 0)
            continue;
        if (accepted != (strncmp(verdict + 1, "accept", 6) == 0))
            fprintf(stderr, "%s", line);
        CU_ASSERT_EQUAL(accepted, strncmp(verdict + 1, "accept", 6) == 0);
    }
    fclose(file);
    CU_ASSERT_TRUE(seen >= 33);
}

/* ---- what the views say ---- */

static int parse(const char *text, struct http1_request *r)
{
    enum http1_refusal refusal;

    return http1_parse(str_from(text), r, &refusal);
}

static void test_request(void)
{
    struct http1_request r;

    CU_ASSERT_EQUAL(parse("PATCH /a/b?c=d?e HTTP/1.1\r\nhOsT: X.Example:81\r\nAccept:  a , b \r\n"
                          "Content-Length: 12\r\nExpect: 100-Continue\r\n\r\n",
                          &r),
                    0);
    CU_ASSERT_TRUE(str_equal(r.method, STR("PATCH")));
    CU_ASSERT_TRUE(str_equal(r.target, STR("/a/b?c=d?e")));
    CU_ASSERT_TRUE(str_equal(r.path, STR("/a/b")));
    CU_ASSERT_TRUE(str_equal(r.query, STR("c=d?e")));
    CU_ASSERT_TRUE(str_equal(r.authority, STR("X.Example:81")));
    CU_ASSERT_TRUE(str_equal(http1_field(&r, "accept"), STR("a , b")));
    CU_ASSERT_PTR_NULL(http1_field(&r, "x").ptr);
    CU_ASSERT_EQUAL(r.minor, 1);
    CU_ASSERT_EQUAL(r.content_length, 12);
    CU_ASSERT_EQUAL(r.field_count, 4);
    CU_ASSERT_TRUE(r.keep_alive);
    CU_ASSERT_TRUE(r.expects_continue);
    CU_ASSERT_FALSE(r.is_head);
    CU_ASSERT_EQUAL(parse("GET http://B.example/x HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n", &r),
                    0);
    CU_ASSERT_TRUE(str_equal(r.authority, STR("B.example")));
    CU_ASSERT_TRUE(str_equal(r.path, STR("/x")));
    CU_ASSERT_PTR_NULL(r.query.ptr);
    CU_ASSERT_PTR_NULL(http1_field(&r, "X").ptr);
    CU_ASSERT_EQUAL(parse("HEAD http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", &r), 0);
    CU_ASSERT_TRUE(str_equal(r.path, STR("/")));
    CU_ASSERT_TRUE(str_equal(r.query, STR("q")));
    CU_ASSERT_TRUE(r.is_head);
    CU_ASSERT_EQUAL(parse("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", &r), 0);
    CU_ASSERT_FALSE(r.expects_continue);
}

static void test_keep_alive(void)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nExpect: whatever\r\n\r\n", false},
    };
    struct http1_request r;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CU_ASSERT_EQUAL(parse(cases[i].text, &r), 0);
        CU_ASSERT_EQUAL(r.keep_alive, cases[i].keep_alive);
    }
}

static void test_host(void)
{
    static const struct {
        const char *authority, *host;
        uint16_t port;
    } cases[] = {
        {"A.Example", "a.example", 0},
        {"a.example:8443", "a.example", 8443},
        {"a.example.", "a.example", 0},
        {"a.example.:80", "a.example", 80},
        {"[2001:DB8::1]:8", "[2001:db8::1]", 8},
        {"a:", "a", 0},
        {"a:00080", "a", 80},
        {".", ".", 0},
    };
    char host[HTTP1_HOST_MAX + 1];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct http1_request r = {.authority = str_from(cases[i].authority)};
        uint16_t port = 1;
        struct str got = http1_host(&r, host, &port);
        CU_ASSERT_TRUE(str_equal_cstr(got, cases[i].host));
        CU_ASSERT_EQUAL(port, cases[i].port);
    }
}

/* ---- limits ---- */

struct text {
    char *bytes;
    size_t len;
};

static void add(struct text *t, const char *s, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        memcpy(t->bytes + t->len, s, strlen(s));
        t->len += strlen(s);
    }
}

static struct outcome read_text(struct text *t)
{
    struct str bytes = {t->bytes, t->len};
    struct outcome o = read_all(bytes, bytes.len), piecewise = read_all(bytes, 777);

    CU_ASSERT_EQUAL(o.is_refused, piecewise.is_refused);
    CU_ASSERT_EQUAL(o.refusal, piecewise.refusal);
    t->len = 0;
    return o;
}

static void test_head_limits(void)
{
    struct text t = {malloc(1 << 20), 0};
    struct outcome o;

    for (size_t over = 0; over < 2; over++) {
        add(&t, "GET /", 1);
        add(&t, "x", HTTP1_LINE_MAX - strlen("GET / HTTP/1.1") + over);
        add(&t, " HTTP/1.1\r\n" HOST "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);
        CU_ASSERT_EQUAL(o.refusal, over ? HTTP1_URI_TOO_LONG : HTTP1_OK);

        add(&t, "GET / HTTP/1.1\r\n" HOST "X:", 1);
        add(&t, "x", HTTP1_FIELD_LINE_MAX - 2 + over);
        add(&t, "\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);
        CU_ASSERT_EQUAL(o.refusal, over ? HTTP1_HEAD_TOO_LARGE : HTTP1_OK);

        add(&t, "GET / HTTP/1.1\r\n" HOST, 1);
        add(&t, "X: y\r\n", HTTP1_FIELDS_MAX - 1 + over);
        add(&t, "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);
        CU_ASSERT_EQUAL(o.refusal, over ? HTTP1_HEAD_TOO_LARGE : HTTP1_OK);

        /* 5 lines of 6000, and one that fills the head */
        add(&t, "GET / HTTP/1.1\r\n" HOST, 1);
        for (int i = 0; i < 5; i++) {
            add(&t, "X:", 1);
            add(&t, "x", 5996);
            add(&t, "\r\n", 1);
        }
        add(&t, "X:", 1);
        add(&t, "x", HTTP1_HEAD_MAX - 4 - t.len + over);
        add(&t, "\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);

        add(&t, "M", HTTP1_METHOD_MAX + over);
        add(&t, " / HTTP/1.1\r\n" HOST "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);

        add(&t, "GET / HTTP/1.1\r\nHost: ", 1);
        add(&t, "h", HTTP1_HOST_MAX + over);
        add(&t, "\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);
    }
    /* refused before its end is there */
    add(&t, "G", HTTP1_LINE_MAX + 2);
    o = read_text(&t);
    CU_ASSERT_EQUAL(o.refusal, HTTP1_URI_TOO_LONG);
    CU_ASSERT_EQUAL(http1_status(o.refusal), 414);
    CU_ASSERT_STRING_EQUAL(http1_message(o.refusal), "URI too long");
    add(&t, "GET / HTTP/1.1\r\nX", 1);
    add(&t, "x", HTTP1_FIELD_LINE_MAX + 1);
    o = read_text(&t);
    CU_ASSERT_EQUAL(o.refusal, HTTP1_HEAD_TOO_LARGE);
    CU_ASSERT_EQUAL(http1_status(o.refusal), 400);
    CU_ASSERT_STRING_EQUAL(http1_message(o.refusal), "Request header or cookie too large");
    free(t.bytes);
}

static void test_body_limits(void)
{
    struct text t = {malloc(1 << 20), 0};
    struct outcome o;

    for (size_t over = 0; over < 2; over++) {
        add(&t, CHUNKED "1;", 1);
        add(&t, "x", HTTP1_CHUNK_LINE_MAX - 2 + over);
        add(&t, "\r\na\r\n0\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);

        /* each extension has 128 bytes */
        add(&t, CHUNKED, 1);
        for (size_t i = 0; i < HTTP1_EXTENSIONS_MAX / 128 + over; i++) {
            add(&t, "1;", 1);
            add(&t, "x", 127);
            add(&t, "\r\na\r\n", 1);
        }
        add(&t, "0\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);

        add(&t, CHUNKED "0\r\n", 1);
        add(&t, "T: 012345678901\r\n", HTTP1_TRAILER_MAX / 17 + over); /* 17 bytes each */
        add(&t, "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.requests, 1 - over);
    }
    free(t.bytes);
}

static void test_refusals(void)
{
    CU_ASSERT_EQUAL(http1_status(HTTP1_BAD_REQUEST), 400);
    CU_ASSERT_STRING_EQUAL(http1_message(HTTP1_BAD_REQUEST), "Bad request");
    CU_ASSERT_EQUAL(http1_status(HTTP1_EXPECTATION_FAILED), 417);
    CU_ASSERT_STRING_EQUAL(http1_message(HTTP1_EXPECTATION_FAILED), "Expectation failed");
}

int main(void)
{
    CU_TestInfo tests[] = {{"vectors", test_vectors},
                           {"shared vectors", test_shared_vectors},
                           {"request", test_request},
                           {"keep-alive", test_keep_alive},
                           {"host", test_host},
                           {"head limits", test_head_limits},
                           {"body limits", test_body_limits},
                           {"refusals", test_refusals},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "http1", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
