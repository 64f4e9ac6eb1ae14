/* How control begins: with what it finds, or with a sentence that says why not. */
#include "reconciler/control/assembly.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/pki/chain.h"
#include "reconciler/pki/credential.h"
#include "reconciler/storage/file.h"
#include "tests/fakes/controlled.h"
#include "tests/support/suite.h"

#define PAIR_MAX ((size_t)1 << 16)
#define TEXT_MAX 4096
#define IS(name, state) "\"name\": \"" name "\",\n      \"state\": \"" state "\""

static struct controlled c;

static void write_below(const char *folder, const char *name, struct str text)
{
    char path[CONTROLLED_PATH_MAX + 64];
    FILE *f;

    snprintf(path, sizeof(path), "%.150s/%.60s", folder, name);
    f = fopen(path, "w");
    CU_ASSERT_FATAL(f && fwrite(text.ptr, 1, text.len, f) == text.len && fclose(f) == 0);
}

/* A self-signed pair as PEM. */
static void make_pair(struct buf *certificate, struct buf *key, int64_t from, int64_t to)
{
    const struct credential_self_signed options = {
        .key_type = KEY_P256, .name = "d.test", .not_before = from, .not_after = to};
    struct error e;
    struct credential *made = credential_make_self_signed(&options, &e);

    *certificate = BUF_INIT(PAIR_MAX);
    *key = BUF_SECRET(PAIR_MAX);
    CU_ASSERT_FATAL(made && credential_to_pem(made, certificate, key, &e) == 0);
    credential_unref(made);
}

static void starts_and_ends_with(int code)
{
    controlled_write(&c, "domains: [\"*.wild.test\"]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, code ? controlled_has_ended : controlled_is_ready, NULL));
    CU_ASSERT_EQUAL(controlled_stop(&c), code);
}

/* What settings name and cannot be used is said at the start, not at the first order. */
static void settings_that_name_nothing(void)
{
    static const struct {
        const char *settings;
        int code;
    } cases[] = {
        {"acme_trusted_certificate = /none/there\n", 1},
        {"acme_trusted_certificate = /etc/hostname\n", 1},
        {"lua_ssl_trusted_certificate = /none/there\n", 1},
        {"lua_ssl_trusted_certificate = system, /none/there\n", 1},
        {"lua_ssl_trusted_certificate = /none/a, /none/b\n", 1},
        {"lua_ssl_trusted_certificate = system\n", 0},
        {"ssl_cert = /none/there\nssl_cert_key = /none/there\n", 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        controlled_open(&c, cases[i].settings);
        starts_and_ends_with(cases[i].code);
        controlled_close(&c);
    }
}

static void a_pair_of_ones_own(void)
{
    struct buf certificate, key, other, other_key;

    make_pair(&certificate, &key, 1700000000, 2000000000);
    make_pair(&other, &other_key, 1700000000, 2000000000);
    controlled_open(&c, NULL);
    write_below(c.folder, "a.crt", buf_view(&certificate));
    write_below(c.folder, "a.key", buf_view(&key));
    write_below(c.folder, "b.key", buf_view(&other_key));
    write_below(c.folder, "c.crt", STR("nothing of the kind"));
    for (int n = 0; n < 3; n++) { /* it fits; the key of another; no PEM */
        char *paths[2];
        CU_ASSERT(asprintf(&paths[0], "%s/%s.crt", c.folder, n == 2 ? "c" : "a") > 0);
        CU_ASSERT(asprintf(&paths[1], "%s/%s.key", c.folder, n == 1 ? "b" : "a") > 0);
        c.settings.ssl_cert = &paths[0];
        c.settings.ssl_cert_key = &paths[1];
        c.settings.ssl_cert_count = c.settings.ssl_cert_key_count = 1;
        starts_and_ends_with(n > 0);
        free(paths[0]);
        free(paths[1]);
    }
    c.settings.ssl_cert = c.settings.ssl_cert_key = NULL;
    c.settings.ssl_cert_count = c.settings.ssl_cert_key_count = 0;
    controlled_close(&c);
    buf_free(&certificate);
    buf_free(&key);
    buf_free(&other);
    buf_free(&other_key);
}

/* One that was made before is used; one that is damaged is made anew. */
static void the_pair_that_is_made(void)
{
    char folder[CONTROLLED_PATH_MAX + 16];
    struct stat before, after;
    char path[CONTROLLED_PATH_MAX + 64];

    controlled_open(&c, NULL);
    snprintf(folder, sizeof(folder), "%.150s/ssl", c.prefix);
    snprintf(path, sizeof(path), "%.160s/reconcert-default.key", folder);
    starts_and_ends_with(0);
    CU_ASSERT_EQUAL(stat(path, &before), 0);
    starts_and_ends_with(0);
    CU_ASSERT_EQUAL(stat(path, &after), 0);
    CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
    write_below(folder, "reconcert-default.crt", STR("half a"));
    starts_and_ends_with(0);
    CU_ASSERT_EQUAL(stat(path, &after), 0);
    CU_ASSERT_NOT_EQUAL(before.st_ino, after.st_ino);
    controlled_close(&c);
}

/* ---- the storage ---- */

static void held_by_another(void)
{
    struct file *other;
    struct error e;

    controlled_open(&c, NULL);
    other = file_open(c.prefix, false, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    starts_and_ends_with(1);
    file_close(other);
    starts_and_ends_with(0);
    controlled_close(&c);
}

/* Bytes of it are damaged: that is told, and the rest is used. */
static void damaged(void)
{
    char path[CONTROLLED_PATH_MAX + 32];
    struct stat st;
    int fd;

    controlled_open(&c, NULL);
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("a.test", "valid")));
    CU_ASSERT_EQUAL(controlled_stop(&c), 0);
    snprintf(path, sizeof(path), "%.150s/storage/log", c.prefix);
    fd = open(path, O_WRONLY);
    CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
    CU_ASSERT_EQUAL(pwrite(fd, "scratched", 9, 200), 9);
    close(fd);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "storage_damaged"));
    CU_ASSERT_TRUE(controlled_lists(&c, IS("a.test", "valid")));
    controlled_close(&c);
}

/* ---- the file ---- */

/* Declared certificates: one that is valid, one that has ended; then the first ends, too. */
static void declared_dates(void)
{
    struct buf pairs[4];

    controlled_open(&c, NULL);
    make_pair(&pairs[0], &pairs[1], c.began - 86400, c.began + 10 * 86400);
    make_pair(&pairs[2], &pairs[3], c.began - 86400, c.began - 3600);
    controlled_declare(&c, "d.test", buf_view(&pairs[0]), buf_view(&pairs[1]));
    controlled_declare(&c, "e.test", buf_view(&pairs[2]), buf_view(&pairs[3]));
    controlled_declare(&c, "f.test", STR("{vault://env/none}"), STR("{vault://env/none}"));
    controlled_write(&c, "domains: [a.test]");
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "certificate_not_valid"));
    CU_ASSERT_TRUE(controlled_says(&c, "certificate_unusable"));
    CU_ASSERT_TRUE(controlled_says(&c, "expired at"));
    controlled_pass(&c, INT64_C(11) * 86400 * 1000);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says, "certificate_not_valid"));
    controlled_write_text(&c, "_format_version: \"3.0\"\n");
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_says_not, "certificate_"));
    controlled_close(&c);
    for (int n = 0; n < 4; n++)
        buf_free(&pairs[n]);
}

/* Names that no CA may be asked for are told, each once, up to a number. */
static void blocked(void)
{
    struct buf config = BUF_INIT(TEXT_MAX);

    controlled_open(&c, NULL);
    free(c.settings.acme_server); /* the file's: a public CA, which certifies none of these */
    c.settings.acme_server = NULL;
    atomic_store(&c.is_cut, true); /* it is not played */
    buf_cstr(&config, "api_uri: \"https://acme-v02.api.letsencrypt.org\", "
                      "domains: [");
    for (int n = 0; n < 30; n++)
        buf_printf(&config, "%sn%d.internal", n ? ", " : "", n);
    buf_cstr(&config, "]");
    buf_char(&config, '\0');
    controlled_write(&c, config.data);
    controlled_start(&c);
    CU_ASSERT_TRUE(controlled_wait(&c, controlled_lists, IS("n7.internal", "blocked")));
    CU_ASSERT_EQUAL(controlled_orders(&c), 0);
    controlled_close(&c);
    buf_free(&config);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"settings that name nothing", settings_that_name_nothing},
        {"a pair of one's own", a_pair_of_ones_own},
        {"the pair that is made", the_pair_that_is_made},
        {"held by another", held_by_another},
        {"damaged", damaged},
        {"declared dates", declared_dates},
        {"blocked", blocked},
        CU_TEST_INFO_NULL,
    };

    return suite_run("start", tests);
}
