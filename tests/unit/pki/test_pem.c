#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/der.h"
#include "reconciler/pki/pem.h"

static void finds_blocks(void)
{
    static const struct {
        const char *what, *text;
        int found[3]; /* of the calls, one after the other */
        const char *labels[2];
    } rows[] = {
        {"nothing", "", {0}, {NULL}},
        {"prose", "no PEM here -----BEGIN X-----", {0}, {NULL}},
        {"one", "-----BEGIN A-----\nAAAA\n-----END A-----\n", {1, 0}, {"A"}},
        {"one without a last line end", "-----BEGIN A-----\nAAAA\n-----END A-----", {1, 0}, {"A"}},
        {"CRLF", "-----BEGIN A B-----\r\nAAAA\r\n-----END A B-----\r\n", {1, 0}, {"A B"}},
        {"blanks behind the lines",
         "-----BEGIN A----- \t\nAAAA\n-----END A-----  \n",
         {1, 0},
         {"A"}},
        {"two and text around",
         "subject=x\n-----BEGIN A-----\nAAAA\n-----END A-----\nissuer=y\n-----BEGIN B-----\nAAAA\n"
         "-----END B-----\nbye",
         {1, 1, 0},
         {"A", "B"}},
        {"empty body", "-----BEGIN A-----\n-----END A-----\n", {1, 0}, {"A"}},
        {"no end", "-----BEGIN A-----\nAAAA\n", {-1}, {NULL}},
        {"another end", "-----BEGIN A-----\nAAAA\n-----END B-----\n", {-1}, {NULL}},
        {"broken first line", "-----BEGIN A----\nAAAA\n-----END A-----\n", {-1}, {NULL}},
        {"no label", "-----BEGIN -----\nAAAA\n-----END -----\n", {-1}, {NULL}},
        {"end in the middle of a line", "-----BEGIN A-----\nAAAA-----END A-----\n", {-1}, {NULL}},
        {"indented", "  -----BEGIN A-----\nAAAA\n-----END A-----\n", {0}, {NULL}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        size_t at = 0;

        for (size_t k = 0; k < 3; k++) {
            struct pem_block block;
            struct error e;
            int found = pem_next(str_from(rows[i].text), &at, &block, &e);

            CU_ASSERT_EQUAL(found, rows[i].found[k]);
            if (found != 1)
                break;
            CU_ASSERT_TRUE(str_equal_cstr(block.label, rows[i].labels[k]));
        }
    }
}

static ptrdiff_t decode(const char *text, unsigned char *out)
{
    struct pem_block block = {.base64 = str_from(text)};
    struct error e;

    return pem_decode(&block, out, &e);
}

static void decodes(void)
{
    static const struct {
        const char *text;
        ptrdiff_t len; /* -1: refused */
        const char *bytes;
    } rows[] = {
        {"", 0, ""},
        {"Zg==", 1, "f"},
        {"Zm8=", 2, "fo"},
        {"Zm9v", 3, "foo"},
        {"Zm9vYg==\n", 4, "foob"},
        {"Zm9vYmE=", 5, "fooba"},
        {"Zm9vYmFy", 6, "foobar"}, /* RFC 4648 §10 */
        {"Zm9v\r\nYmFy\r\n", 6, "foobar"},
        {"Z m\t9vY\nm\nFy", 6, "foobar"},
        {"Zg=\n=", 1, "f"},
        {"+/+/", 3, "\xfb\xff\xbf"},
        {"Z", -1, NULL},
        {"Zg", -1, NULL},
        {"Zm8", -1, NULL},
        {"Zg=", -1, NULL},
        {"Zg===", -1, NULL},
        {"====", -1, NULL},
        {"Zg==Zg==", -1, NULL},
        {"Zm9-", -1, NULL},
        {"Zm9v!", -1, NULL},
        {"Zm\xc3\xa4v", -1, NULL},
        {"=", -1, NULL},
        {"Zm9vYm=y", -1, NULL},
    };
    unsigned char out[64];

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CU_ASSERT_EQUAL(decode(rows[i].text, out), rows[i].len);
        if (rows[i].len > 0)
            CU_ASSERT_EQUAL(memcmp(out, rows[i].bytes, (size_t)rows[i].len), 0);
    }
}

static void headers(void)
{
    static const char encrypted[] = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\nZm9v\n";
    static const char plain[] = "Comment: x\n\nZm9v\n";
    struct pem_block block = {.base64 = str_from(encrypted)};
    unsigned char out[64];
    struct error e;

    CU_ASSERT_EQUAL(pem_decode(&block, out, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_INVALID);
    CU_ASSERT_EQUAL(decode(plain, out), 3);
}

/* Against OpenSSL's encoder, for every length around the line's, and back. */
static void round_trips(void)
{
    unsigned char bytes[200], back[300];
    char expected[512];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct buf text = BUF_INIT(1024);
        struct pem_block block;
        struct error e;
        size_t at = 0;

        pem_append(&text, "X", (struct str){(char *)bytes, len});
        CU_ASSERT_EQUAL_FATAL(pem_next(buf_view(&text), &at, &block, &e), 1);
        CU_ASSERT_EQUAL(at, text.len);
        CU_ASSERT_EQUAL(pem_decode(&block, back, &e), (ptrdiff_t)len);
        CU_ASSERT_TRUE(pem_size_max(&block) >= len);
        CU_ASSERT_EQUAL(memcmp(back, bytes, len), 0);
        EVP_EncodeBlock((unsigned char *)expected, bytes, (int)(len < 48 ? len : 48));
        CU_ASSERT_TRUE(str_starts(block.base64, str_from(expected)));
        buf_free(&text);
    }
}

static void append_fails_whole(void)
{
    struct buf text = BUF_INIT(40);

    pem_append(&text, "CERTIFICATE", STR("0123456789"));
    CU_ASSERT_TRUE(text.failed);
    buf_free(&text);
}

static void reads_der(void)
{
    static const struct {
        struct str bytes;
        bool good;
        size_t content;
    } rows[] = {
        {STR_INIT("\x04\x00"), true, 0},
        {STR_INIT("\x04\x01\x41"), true, 1},
        {STR_INIT(""), false, 0},
        {STR_INIT("\x04"), false, 0},
        {STR_INIT("\x04\x02\x41"), false, 0},                 /* cut */
        {STR_INIT("\x04\x81\x01\x41"), false, 0},             /* long form for a short length */
        {STR_INIT("\x04\x82\x00\x81\x41"), false, 0},         /* leading zero */
        {STR_INIT("\x04\x80\x41\x00\x00"), false, 0},         /* indefinite */
        {STR_INIT("\x1f\x81\x01\x00"), false, 0},             /* tag of two bytes */
        {STR_INIT("\x04\x85\x01\x00\x00\x00\x00"), false, 0}, /* too many length bytes */
        {STR_INIT("\x04\x84\xff\xff\xff\xff"), false, 0},
        {STR_INIT("\x04\xff"), false, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str cursor = rows[i].bytes;
        struct der_element element;

        CU_ASSERT_EQUAL(der_next(&cursor, &element), rows[i].good);
        if (rows[i].good) {
            CU_ASSERT_EQUAL(element.content.len, rows[i].content);
        } else {
            CU_ASSERT_TRUE(cursor.ptr == rows[i].bytes.ptr && cursor.len == rows[i].bytes.len);
        }
    }
}

static void reads_integers(void)
{
    static const struct {
        struct str bytes;
        bool good;
        size_t len;
    } rows[] = {
        {STR_INIT("\x02\x01\x00"), true, 1},     {STR_INIT("\x02\x01\x7f"), true, 1},
        {STR_INIT("\x02\x02\x00\x80"), true, 1}, {STR_INIT("\x02\x02\x00\x7f"), false, 0},
        {STR_INIT("\x02\x01\x80"), false, 0},    {STR_INIT("\x02\x00"), false, 0},
        {STR_INIT("\x03\x01\x01"), false, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str cursor = rows[i].bytes, number;

        CU_ASSERT_EQUAL(der_take_unsigned(&cursor, &number), rows[i].good);
        if (rows[i].good)
            CU_ASSERT_EQUAL(number.len, rows[i].len);
    }
}

static void writes_der(void)
{
    static const size_t lengths[] = {0, 1, 127, 128, 255, 256, 65535, 65536};

    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct buf out = BUF_INIT(70000);
        char *bytes = calloc(1, lengths[i] + 1);
        struct der_element element;
        struct str cursor;

        der_put(&out, DER_OCTET_STRING, (struct str){bytes, lengths[i]});
        cursor = buf_view(&out);
        CU_ASSERT_TRUE(der_next(&cursor, &element));
        CU_ASSERT_EQUAL(element.content.len, lengths[i]);
        CU_ASSERT_EQUAL(cursor.len, 0);
        CU_ASSERT_EQUAL(der_header_size(lengths[i]), out.len - lengths[i]);
        free(bytes);
        buf_free(&out);
    }
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("pki pem and der", NULL, NULL);
    CU_add_test(suite, "finds blocks", finds_blocks);
    CU_add_test(suite, "decodes", decodes);
    CU_add_test(suite, "headers", headers);
    CU_add_test(suite, "round trips", round_trips);
    CU_add_test(suite, "append fails whole", append_fails_whole);
    CU_add_test(suite, "reads DER", reads_der);
    CU_add_test(suite, "reads integers", reads_integers);
    CU_add_test(suite, "writes DER", writes_der);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
