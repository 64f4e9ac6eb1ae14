#include "reconciler/net/http1.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/net/http1_body.h"
#include "tests/support/http_reader.h"

/* The verdict must not depend on how the bytes come in. */
static struct http_reader_outcome read_in_pieces(struct str bytes, struct http_reading how)
{
    struct http_reader_outcome whole = http_reader_read(bytes, how);

    for (how.step = 1; how.step < bytes.len && how.step < 40; how.step++) {
        struct http_reader_outcome o = http_reader_read(bytes, how);
        CU_ASSERT_EQUAL(o.is_refused, whole.is_refused);
        CU_ASSERT_EQUAL(o.is_incomplete, whole.is_incomplete);
        CU_ASSERT_EQUAL(o.messages, whole.messages);
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
        struct http_reader_outcome o = read_in_pieces(vectors[i].bytes, (struct http_reading){0});
        bool accepted = !o.is_refused && !o.is_incomplete;
        if (accepted != (vectors[i].verdict == ACCEPT) || o.messages != vectors[i].requests)
            fprintf(stderr, "%s: accepted %d, %zu requests\n", vectors[i].name, accepted,
                    o.messages);
        CU_ASSERT_EQUAL(accepted, vectors[i].verdict == ACCEPT);
        CU_ASSERT_EQUAL(o.messages, vectors[i].requests);
    }
}

#define OK "HTTP/1.1 200 OK\r\n"
#define LENGTH_3 "Content-Length: 3\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n"

enum { KEPT, CLOSED, CUT, REFUSED };

/* `how` the last one leaves the connection; `status` its own. */
static const struct {
    const char *name;
    struct str bytes;
    int how;
    unsigned status;
    size_t count, body;
    bool is_head;
} responses[] = {
    {"length", STR_INIT(OK LENGTH_3 "\r\nabc"), KEPT, 200, 1, 3, false},
    {"two", STR_INIT(OK LENGTH_3 "\r\nabcHTTP/1.1 404 x\r\n" LENGTH_3 "\r\ndef"), KEPT, 404, 2, 6,
     false},
    {"no length", STR_INIT(OK "\r\nabc"), CLOSED, 200, 1, 3, false},
    {"no length, no body", STR_INIT(OK "\r\n"), CLOSED, 200, 1, 0, false},
    {"length 0", STR_INIT(OK "Content-Length: 0\r\n\r\n"), KEPT, 200, 1, 0, false},
    {"close", STR_INIT(OK "Connection: close\r\n" LENGTH_3 "\r\nabc"), CLOSED, 200, 1, 3, false},
    {"chunks", STR_INIT(OK CHUNKS "\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n"), KEPT, 200, 1, 3, false},
    {"body cut", STR_INIT(OK LENGTH_3 "\r\nab"), CUT, 200, 0, 2, false},
    {"chunks cut", STR_INIT(OK CHUNKS "\r\n3\r\nabc\r\n0\r\n"), CUT, 200, 0, 3, false},
    {"more than its length", STR_INIT(OK LENGTH_3 "\r\nabcd"), CUT, 200, 1, 3, false},
    {"behind it what is none", STR_INIT(OK LENGTH_3 "\r\nabc\x15"), REFUSED, 200, 1, 3, false},
    {"HTTP/1.0", STR_INIT("HTTP/1.0 200 OK\r\n" LENGTH_3 "\r\nabc"), CLOSED, 200, 1, 3, false},
    {"HTTP/1.0, kept without length",
     STR_INIT("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc"), CLOSED, 200, 1, 3, false},
    {"HTTP/1.0, chunks", STR_INIT("HTTP/1.0 200 OK\r\n" CHUNKS "\r\n0\r\n\r\n"), REFUSED, 0, 0, 0,
     false},
    {"no reason", STR_INIT("HTTP/1.1 200 \r\n" LENGTH_3 "\r\nabc"), KEPT, 200, 1, 3, false},
    {"no blank", STR_INIT("HTTP/1.1 200\r\n" LENGTH_3 "\r\nabc"), KEPT, 200, 1, 3, false},
    {"blanks in reason", STR_INIT("HTTP/1.1 200  so \tso\r\n" LENGTH_3 "\r\nabc"), KEPT, 200, 1, 3,
     false},
    {"high bytes in reason", STR_INIT("HTTP/1.1 200 \xc3\xa4\r\n" LENGTH_3 "\r\nabc"), KEPT, 200, 1,
     3, false},
    {"unknown status", STR_INIT("HTTP/1.1 999 x\r\n" LENGTH_3 "\r\nabc"), KEPT, 999, 1, 3, false},
    {"status 099", STR_INIT("HTTP/1.1 099 x\r\n" LENGTH_3 "\r\nabc"), REFUSED, 0, 0, 0, false},
    {"status of two", STR_INIT("HTTP/1.1 20 x\r\n" LENGTH_3 "\r\nabc"), REFUSED, 0, 0, 0, false},
    {"status of four", STR_INIT("HTTP/1.1 2000 x\r\n" LENGTH_3 "\r\nabc"), REFUSED, 0, 0, 0, false},
    {"status no number", STR_INIT("HTTP/1.1 2x0 x\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"status with sign", STR_INIT("HTTP/1.1 +20 x\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"two blanks", STR_INIT("HTTP/1.1  200 x\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"control in reason", STR_INIT("HTTP/1.1 200 a\x01\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"CR in reason", STR_INIT("HTTP/1.1 200 a\rb\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"other version", STR_INIT("HTTP/2.0 200 OK\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"other protocol", STR_INIT("ICY 200 OK\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"a request", STR_INIT("GET / HTTP/1.1\r\n" HOST "\r\n"), REFUSED, 0, 0, 0, false},
    {"empty line first", STR_INIT("\r\n" OK LENGTH_3 "\r\nabc"), REFUSED, 0, 0, 0, false},
    {"100, then 200", STR_INIT("HTTP/1.1 100 Continue\r\n\r\n" OK LENGTH_3 "\r\nabc"), KEPT, 200, 2,
     3, false},
    {"103 with fields", STR_INIT("HTTP/1.1 103 x\r\nLink: y\r\n\r\n"), KEPT, 103, 1, 0, false},
    {"100 with length", STR_INIT("HTTP/1.1 100 x\r\nContent-Length: 0\r\n\r\n"), REFUSED, 0, 0, 0,
     false},
    {"100 with chunks", STR_INIT("HTTP/1.1 100 x\r\n" CHUNKS "\r\n"), REFUSED, 0, 0, 0, false},
    {"204", STR_INIT("HTTP/1.1 204 x\r\n\r\n"), KEPT, 204, 1, 0, false},
    {"204 with length 0", STR_INIT("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"), KEPT, 204, 1, 0,
     false},
    {"204 with length", STR_INIT("HTTP/1.1 204 x\r\n" LENGTH_3 "\r\n"), CLOSED, 204, 1, 0, false},
    {"204 with chunks", STR_INIT("HTTP/1.1 204 x\r\n" CHUNKS "\r\n"), CLOSED, 204, 1, 0, false},
    {"304 with length", STR_INIT("HTTP/1.1 304 x\r\n" LENGTH_3 "\r\n"), KEPT, 304, 1, 0, false},
    {"304 with chunks", STR_INIT("HTTP/1.1 304 x\r\n" CHUNKS "\r\n"), KEPT, 304, 1, 0, false},
    {"HEAD with length", STR_INIT(OK LENGTH_3 "\r\n"), KEPT, 200, 1, 0, true},
    {"HEAD with chunks", STR_INIT(OK CHUNKS "\r\n"), KEPT, 200, 1, 0, true},
    {"HEAD without", STR_INIT(OK "\r\n"), KEPT, 200, 1, 0, true},
    {"HEAD with body", STR_INIT(OK LENGTH_3 "\r\nabc"), CUT, 200, 1, 0, true},
    {"two lengths", STR_INIT(OK LENGTH_3 "Content-Length: 4\r\n\r\nabcd"), REFUSED, 0, 0, 0, false},
    {"lengths that agree", STR_INIT(OK LENGTH_3 LENGTH_3 "\r\nabc"), REFUSED, 0, 0, 0, false},
    {"length list", STR_INIT(OK "Content-Length: 3, 3\r\n\r\nabc"), REFUSED, 0, 0, 0, false},
    {"negative length", STR_INIT(OK "Content-Length: -3\r\n\r\nabc"), REFUSED, 0, 0, 0, false},
    {"length and chunks", STR_INIT(OK LENGTH_3 CHUNKS "\r\n0\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"length and chunks of HEAD", STR_INIT(OK LENGTH_3 CHUNKS "\r\n"), REFUSED, 0, 0, 0, true},
    {"gzip", STR_INIT(OK "Transfer-Encoding: gzip\r\n\r\nabc"), REFUSED, 0, 0, 0, false},
    {"gzip, chunked", STR_INIT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), REFUSED, 0,
     0, 0, false},
    {"coding twice", STR_INIT(OK CHUNKS CHUNKS "\r\n0\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"folded line", STR_INIT(OK "X: a\r\n b\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"folded first line", STR_INIT(OK " X: a\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"blank before colon", STR_INIT(OK "Content-Length : 3\r\n\r\nabc"), REFUSED, 0, 0, 0, false},
    {"bare LF", STR_INIT("HTTP/1.1 200 OK\n\n"), REFUSED, 0, 0, 0, false},
    {"bare LF in a field", STR_INIT(OK "X: a\nY: b\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"bare CR in a field", STR_INIT(OK "X: a\rY: b\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"NUL in a field", STR_INIT(OK "X: a\0b\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"no colon", STR_INIT(OK "X\r\n\r\n"), REFUSED, 0, 0, 0, false},
    {"bare LF in chunks", STR_INIT(OK CHUNKS "\r\n3\nabc\r\n0\r\n\r\n"), REFUSED, 200, 0, 0, false},
    {"Host and Expect mean nothing",
     STR_INIT(OK "Host: a/b\r\nHost: c\r\nExpect: x\r\n" LENGTH_3 "\r\nabc"), KEPT, 200, 1, 3,
     false},
};

static int how_left(const struct http_reader_outcome *o)
{
    if (o->is_refused)
        return REFUSED;
    if (o->is_incomplete)
        return CUT;
    return o->keep_alive ? KEPT : CLOSED;
}

static void test_responses(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(responses); i++) {
        struct http_reader_outcome o = read_in_pieces(
            responses[i].bytes,
            (struct http_reading){.is_of_responses = true, .is_head = responses[i].is_head});
        if (how_left(&o) != responses[i].how || o.messages != responses[i].count)
            fprintf(stderr, "%s: left %d, %zu responses\n", responses[i].name, how_left(&o),
                    o.messages);
        CU_ASSERT_EQUAL(how_left(&o), responses[i].how);
        CU_ASSERT_EQUAL(o.status, responses[i].status);
        CU_ASSERT_EQUAL(o.messages, responses[i].count);
        CU_ASSERT_EQUAL(o.body_bytes, responses[i].body);
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
        struct http_reader_outcome o;
        bool accepted;
        if (line[0] == '#' || !verdict)
            continue;
        o = read_in_pieces((struct str){bytes, unescape(text + 1, bytes)},
                           (struct http_reading){0});
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

static struct http1_fields parsed_fields;

static int parse(const char *text, struct http_head *r)
{
    enum http1_refusal refusal;

    return http1_parse_request(str_from(text), &parsed_fields, r, &refusal);
}

static void test_request(void)
{
    struct http_head r;

    CU_ASSERT_EQUAL(parse("PATCH /a/b?c=d?e HTTP/1.1\r\nhOsT: X.Example:81\r\nAccept:  a , b \r\n"
                          "Content-Length: 12\r\nExpect: 100-Continue\r\n\r\n",
                          &r),
                    0);
    CU_ASSERT_TRUE(str_equal(r.method, STR("PATCH")));
    CU_ASSERT_TRUE(str_equal(r.target, STR("/a/b?c=d?e")));
    CU_ASSERT_TRUE(str_equal(r.path, STR("/a/b")));
    CU_ASSERT_TRUE(str_equal(r.query, STR("c=d?e")));
    CU_ASSERT_TRUE(str_equal(r.authority, STR("X.Example:81")));
    CU_ASSERT_TRUE(str_equal(http_head_field(&r, "accept"), STR("a , b")));
    CU_ASSERT_PTR_NULL(http_head_field(&r, "x").ptr);
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
    CU_ASSERT_PTR_NULL(http_head_field(&r, "X").ptr);
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
    struct http_head r;

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
        struct http_head r = {.authority = str_from(cases[i].authority)};
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

static struct http_reader_outcome read_text_as(struct text *t, struct http_reading how)
{
    struct str bytes = {t->bytes, t->len};
    struct http_reader_outcome o = http_reader_read(bytes, how), piecewise;

    how.step = 777;
    piecewise = http_reader_read(bytes, how);
    CU_ASSERT_EQUAL(o.is_refused, piecewise.is_refused);
    CU_ASSERT_EQUAL(o.refusal, piecewise.refusal);
    t->len = 0;
    return o;
}

static struct http_reader_outcome read_text(struct text *t)
{
    return read_text_as(t, (struct http_reading){0});
}

static void test_response_limits(void)
{
    struct http_reading how = {.is_of_responses = true};
    struct text t = {malloc(1 << 20), 0};

    for (size_t over = 0; over < 2; over++) {
        add(&t, "HTTP/1.1 200 ", 1);
        add(&t, "x", HTTP1_LINE_MAX - strlen("HTTP/1.1 200 ") + over);
        add(&t, "\r\n" LENGTH_3 "\r\nabc", 1);
        CU_ASSERT_EQUAL(read_text_as(&t, how).messages, 1 - over);

        add(&t, OK LENGTH_3 "X:", 1);
        add(&t, "x", HTTP1_FIELD_LINE_MAX - 2 + over);
        add(&t, "\r\n\r\nabc", 1);
        CU_ASSERT_EQUAL(read_text_as(&t, how).messages, 1 - over);

        add(&t, OK LENGTH_3, 1);
        add(&t, "X: y\r\n", HTTP_FIELDS_MAX - 1 + over);
        add(&t, "\r\nabc", 1);
        CU_ASSERT_EQUAL(read_text_as(&t, how).messages, 1 - over);
    }
    /* refused before its end is there */
    add(&t, OK "X", 1);
    add(&t, "x", HTTP1_FIELD_LINE_MAX + 1);
    CU_ASSERT_TRUE(read_text_as(&t, how).is_refused);
    free(t.bytes);
}

static void test_head_limits(void)
{
    struct text t = {malloc(1 << 20), 0};
    struct http_reader_outcome o;

    for (size_t over = 0; over < 2; over++) {
        add(&t, "GET /", 1);
        add(&t, "x", HTTP1_LINE_MAX - strlen("GET / HTTP/1.1") + over);
        add(&t, " HTTP/1.1\r\n" HOST "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);
        CU_ASSERT_EQUAL(o.refusal, over ? HTTP1_URI_TOO_LONG : HTTP1_OK);

        add(&t, "GET / HTTP/1.1\r\n" HOST "X:", 1);
        add(&t, "x", HTTP1_FIELD_LINE_MAX - 2 + over);
        add(&t, "\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);
        CU_ASSERT_EQUAL(o.refusal, over ? HTTP1_HEAD_TOO_LARGE : HTTP1_OK);

        add(&t, "GET / HTTP/1.1\r\n" HOST, 1);
        add(&t, "X: y\r\n", HTTP_FIELDS_MAX - 1 + over);
        add(&t, "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);
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
        CU_ASSERT_EQUAL(o.messages, 1 - over);

        add(&t, "M", HTTP1_METHOD_MAX + over);
        add(&t, " / HTTP/1.1\r\n" HOST "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);

        add(&t, "GET / HTTP/1.1\r\nHost: ", 1);
        add(&t, "h", HTTP1_HOST_MAX + over);
        add(&t, "\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);
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
    struct http_reader_outcome o;

    for (size_t over = 0; over < 2; over++) {
        add(&t, CHUNKED "1;", 1);
        add(&t, "x", HTTP1_CHUNK_LINE_MAX - 2 + over);
        add(&t, "\r\na\r\n0\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);

        /* each extension has 128 bytes */
        add(&t, CHUNKED, 1);
        for (size_t i = 0; i < HTTP1_EXTENSIONS_MAX / 128 + over; i++) {
            add(&t, "1;", 1);
            add(&t, "x", 127);
            add(&t, "\r\na\r\n", 1);
        }
        add(&t, "0\r\n\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);

        add(&t, CHUNKED "0\r\n", 1);
        add(&t, "T: 012345678901\r\n", HTTP1_TRAILER_MAX / 17 + over); /* 17 bytes each */
        add(&t, "\r\n", 1);
        o = read_text(&t);
        CU_ASSERT_EQUAL(o.messages, 1 - over);
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
                           {"responses", test_responses},
                           {"response limits", test_response_limits},
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
