#include <CUnit/Basic.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/pki/der.h"
#include "reconciler/pki/pem.h"

#define BLOCK(label) "-----BEGIN " label "-----\nAAAA\n-----END " label "-----\n"
#define BOM "\xef\xbb\xbf"

/* As OpenSSL's reader takes them; what it passes over in silence is counted here. */
static void finds_blocks(void)
{
    static const struct {
        const char *what, *text;
        int found[3]; /* of the calls, one after the other */
        const char *labels[2];
        size_t skipped;
        const char *skipped_label;
    } rows[] = {
        {"nothing", "", {0}, {NULL}, 0, NULL},
        {"one", BLOCK("CERTIFICATE"), {1, 0}, {"CERTIFICATE"}, 0, NULL},
        {"one without a last line end",
         "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
         {1, 0},
         {"CERTIFICATE"},
         0,
         NULL},
        {"CRLF",
         "-----BEGIN X509 CERTIFICATE-----\r\nAAAA\r\n-----END X509 CERTIFICATE-----\r\n",
         {1, 0},
         {"X509 CERTIFICATE"},
         0,
         NULL},
        {"blanks behind the lines",
         "-----BEGIN CERTIFICATE----- \t\nAAAA \n-----END CERTIFICATE-----  \n",
         {1, 0},
         {"CERTIFICATE"},
         0,
         NULL},
        {"empty lines before", "\n \r\n\n" BLOCK("CERTIFICATE"), {1, 0}, {"CERTIFICATE"}, 0, NULL},
        {"a byte order mark", BOM BLOCK("CERTIFICATE"), {1, 0}, {"CERTIFICATE"}, 0, NULL},
        {"files with one each, put together",
         BOM BLOCK("CERTIFICATE") BOM BLOCK("TRUSTED CERTIFICATE"),
         {1, 1, 0},
         {"CERTIFICATE", "TRUSTED CERTIFICATE"},
         0,
         NULL},
        {"text around",
         "subject=x\n" BLOCK("CERTIFICATE") "issuer=y\n" BLOCK("CERTIFICATE") "bye",
         {1, 1, 0},
         {"CERTIFICATE", "CERTIFICATE"},
         0,
         NULL},
        {"other blocks",
         BLOCK("EC PARAMETERS") BLOCK("EC PRIVATE KEY") BLOCK("CERTIFICATE"),
         {1, 0},
         {"CERTIFICATE"},
         2,
         "EC PARAMETERS"},
        {"no block of the kind", BLOCK("PRIVATE KEY"), {0}, {NULL}, 1, "PRIVATE KEY"},
        {"a label of no kind",
         BLOCK("ATTRIBUTE CERTIFICATE"),
         {0},
         {NULL},
         1,
         "ATTRIBUTE CERTIFICATE"},
        {"empty body",
         "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
         {1, 0},
         {"CERTIFICATE"},
         0,
         NULL},
        {"no end", "-----BEGIN CERTIFICATE-----\nAAAA\n", {-1}, {NULL}, 0, NULL},
        {"another end",
         "-----BEGIN CERTIFICATE-----\nAAAA\n-----END B-----\n",
         {-1},
         {NULL},
         0,
         NULL},
        {"end in the middle of a line",
         "-----BEGIN CERTIFICATE-----\nAAAA-----END CERTIFICATE-----\n",
         {-1},
         {NULL},
         0,
         NULL},
        {"broken first line",
         "-----BEGIN CERTIFICATE----\nAAAA\n-----END CERTIFICATE-----\n" BLOCK("CERTIFICATE"),
         {1, 0},
         {"CERTIFICATE"},
         1,
         NULL},
        {"more behind the first line",
         "-----BEGIN CERTIFICATE----- x\nAAAA\n-----END CERTIFICATE-----\n",
         {0},
         {NULL},
         1,
         NULL},
        {"no label", "-----BEGIN -----\nAAAA\n-----END -----\n", {0}, {NULL}, 1, NULL},
        {"indented", "  " BLOCK("CERTIFICATE"), {0}, {NULL}, 1, NULL},
        {"in prose", "no PEM here -----BEGIN CERTIFICATE-----", {0}, {NULL}, 1, NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, str_from(rows[i].text));

        for (size_t k = 0; k < 3; k++) {
            struct pem_block block;
            struct error e;
            int found = pem_next(&reader, &block, &e);

            CU_ASSERT_EQUAL(found, rows[i].found[k]);
            if (found != 1)
                break;
            CU_ASSERT_TRUE(str_equal_cstr(block.label, rows[i].labels[k]));
        }
        CU_ASSERT_EQUAL(reader.skipped, rows[i].skipped);
        CU_ASSERT_TRUE(str_equal(reader.skipped_label, str_from(rows[i].skipped_label)));
    }
}

static void says_what_it_skips(void)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {BLOCK("PRIVATE KEY"), ""},
        {BLOCK("EC PARAMETERS") BLOCK("EC PRIVATE KEY"),
         "'EC PARAMETERS' is passed over, which is no private key"},
        {BLOCK("CERTIFICATE") BLOCK("X") BLOCK("PRIVATE KEY"),
         "'CERTIFICATE' is passed over, which is no private key (and 1 more)"},
        {" " BLOCK("PRIVATE KEY"),
         "a BEGIN line is passed over that does not stand alone in its line"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct pem_reader reader = PEM_READER(PEM_PRIVATE_KEY, str_from(rows[i].text));
        struct buf said = BUF_INIT(256);
        struct pem_block block;
        struct error e;

        while (pem_next(&reader, &block, &e) == 1)
            continue;
        pem_print_skipped(&reader, &said);
        CU_ASSERT_TRUE(str_equal_cstr(buf_view(&said), rows[i].said));
        buf_free(&said);
    }
}

static void none_of_the_kind(void)
{
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, STR(BLOCK("PRIVATE KEY")));
    struct buf der = BUF_INIT(64);
    struct pem_block block;
    struct error e;

    CU_ASSERT_EQUAL(pem_read_first(&reader, &der, &block, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_CRYPTO);
    CU_ASSERT_STRING_EQUAL(e.message, "no certificate in the PEM text: 'PRIVATE KEY' is passed "
                                      "over, which is no certificate");
    buf_free(&der);
}

/* What OpenSSL puts behind a certificate that it trusts is not the certificate's. */
static void trust_is_cut_off(void)
{
    struct pem_reader reader = PEM_READER(
        PEM_CERTIFICATE, STR("-----BEGIN TRUSTED CERTIFICATE-----\nMAMCAQEwAA==\n-----END TRUSTED "
                             "CERTIFICATE-----"));
    struct buf der = BUF_INIT(64);
    struct error e;

    CU_ASSERT_EQUAL(pem_read(&reader, &der, &e), 1);
    CU_ASSERT_TRUE(str_equal(buf_view(&der), STR("\x30\x03\x02\x01\x01")));
    buf_free(&der);
}

static void no_room(void)
{
    struct pem_reader reader = PEM_READER(PEM_CERTIFICATE, STR(BLOCK("CERTIFICATE")));
    struct buf der = BUF_INIT(2);
    struct error e;

    CU_ASSERT_EQUAL(pem_read(&reader, &der, &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    buf_free(&der);
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
        struct pem_reader reader;
        struct pem_block block;
        struct error e;

        pem_append(&text, "PUBLIC KEY", (struct str){(char *)bytes, len});
        reader = PEM_READER(PEM_PUBLIC_KEY, buf_view(&text));
        CU_ASSERT_EQUAL_FATAL(pem_next(&reader, &block, &e), 1);
        CU_ASSERT_EQUAL(reader.at, text.len);
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
    CU_add_test(suite, "says what it skips", says_what_it_skips);
    CU_add_test(suite, "none of the kind", none_of_the_kind);
    CU_add_test(suite, "trust is cut off", trust_is_cut_off);
    CU_add_test(suite, "no room", no_room);
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
