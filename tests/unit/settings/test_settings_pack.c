#include "reconciler/settings/settings.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "tests/support/settings_text.h"

/* What a child reads is what was packed: packing it again gives the same bytes. */
static void test_pack(void)
{
    struct settings s, copy;
    struct error e;
    const char *const env[] = {"HOME=/h", "KONG_ACME_LOCAL_COPY=off", NULL};
    const char *const set[] = {"proxy_listen=127.0.0.1:1 ssl so_keepalive=::3, [::1]:2 ipv6only=on",
                               "port_maps=80:8000,443:8443",
                               "stream_listen=off",
                               "nginx_worker_processes=5",
                               "ssl_cert=a,b",
                               "ssl_cert_key=c,d",
                               "acme_max_document=3k",
                               "log_level=emerg",
                               "acme_log_format=json",
                               "trusted_ips=::1",
                               NULL};
    const char *const files[] = {"one, two\\ .yaml", "x\xff", NULL};
    char first[65536] = "", second[65536] = "";
    int a = memfd_create("a", MFD_CLOEXEC), b = memfd_create("b", MFD_CLOEXEC);

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s,
                      &(struct settings_input){.environment = settings_text_variables(env),
                                               .assignments = set,
                                               .files = files},
                      &e),
        0);
    CU_ASSERT_EQUAL(settings_pack(&s, SETTINGS_FOR_CONTROL, a, &e), 0);
    CU_ASSERT_EQUAL_FATAL(settings_unpack(&copy, a, &e), 0);
    CU_ASSERT_EQUAL(settings_pack(&copy, SETTINGS_FOR_CONTROL, b, &e), 0);
    CU_ASSERT(pread(a, first, sizeof(first) - 1, 0) > 500);
    CU_ASSERT(pread(b, second, sizeof(second) - 1, 0) > 500);
    CU_ASSERT_STRING_EQUAL(first, second);
    CU_ASSERT_STRING_EQUAL(copy.declarative_config[0], files[0]);
    CU_ASSERT_STRING_EQUAL(copy.declarative_config[1], files[1]);
    CU_ASSERT_EQUAL(memcmp(&copy.proxy_listen, &s.proxy_listen, sizeof(s.proxy_listen)), 0);
    CU_ASSERT_EQUAL(memcmp(&copy.status_listen, &s.status_listen, sizeof(s.status_listen)), 0);
    CU_ASSERT_TRUE(copy.status_listen.items[0].is_default);
    CU_ASSERT_EQUAL(copy.stream_listen.count, 0);
    CU_ASSERT_EQUAL(copy.port_maps[1].inside, 8443);
    CU_ASSERT_EQUAL(copy.nginx_worker_processes, 5);
    CU_ASSERT_EQUAL(copy.acme_max_document, 3072);
    CU_ASSERT_EQUAL(copy.log_level, LOG_CRIT);
    CU_ASSERT_EQUAL(copy.acme_log_format, LOG_JSON);
    CU_ASSERT_TRUE(copy.acme_local_copy_is_stated && !copy.acme_local_copy);
    settings_fini(&s);
    settings_fini(&copy);
    close(a);
    close(b);
}

/* A worker is given what it uses: of a hostile or a secret one not even the name. */
static void test_pack_for_worker(void)
{
    static const char expected[] = "reconcert settings 1\n"
                                   "proxy_listen 1\n11\n127.0.0.1:1\n"
                                   "log_level 1\n5\nerror\n"
                                   "ssl_protocols 2\n7\nTLSv1.2\n7\nTLSv1.3\n"
                                   "ssl_ciphers 1\n3\nALL\n"
                                   "ssl_prefer_server_ciphers 1\n2\non\n"
                                   "trusted_ips 1\n3\n::1\n"
                                   "acme_parsed_cache 1\n1\n7\n"
                                   "acme_log_format 1\n4\njson\n";
    const char *const env[] = {"HOME=/evil/home",
                               "KONG_DECLARATIVE_CONFIG_STRING=evil: key",
                               "KONG_PREFIX=/evil/prefix",
                               "KONG_SSL_CERT=/evil/cert",
                               "KONG_SSL_CERT_KEY=/evil/key",
                               "KONG_CLUSTER_CERT_KEY=evil",
                               "KONG_VAULT_ENV_PREFIX=EVIL_",
                               "KONG_ACME_SERVER=https://evil.example/token",
                               "KONG_ACME_TRUSTED_CERTIFICATE=/evil/ca",
                               "KONG_ACME_USER=evil",
                               "KONG_PG_PASSWORD=evil",
                               "KONG_NGINX_USER=evil",
                               "LD_PRELOAD=/evil.so",
                               NULL};
    const char *const set[] = {"proxy_listen=127.0.0.1:1", "log_level=error",
                               "trusted_ips=::1",          "acme_log_format=json",
                               "acme_parsed_cache=7",      "ssl_cipher_suite=custom",
                               "ssl_ciphers=ALL",          NULL};
    struct settings s, copy;
    struct error e;
    char text[4096] = "";
    int fd = memfd_create("worker", MFD_CLOEXEC);

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s,
                      &(struct settings_input){.environment = settings_text_variables(env),
                                               .assignments = set},
                      &e),
        0);
    CU_ASSERT_EQUAL(settings_pack(&s, SETTINGS_FOR_WORKER, fd, &e), 0);
    CU_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0);
    CU_ASSERT_STRING_EQUAL(text, expected);
    CU_ASSERT_EQUAL_FATAL(settings_unpack(&copy, fd, &e), 0);
    CU_ASSERT_EQUAL(copy.acme_parsed_cache, 7);
    CU_ASSERT_PTR_NULL(copy.declarative_config_string);
    settings_fini(&s);
    settings_fini(&copy);
    close(fd);
}

static void test_broken_pack(void)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"", -1},
        {"reconcert settings 2\n", -1},
        {"reconcert settings 1\n", 0},
        {"reconcert settings 1\nlog_level 1\n4\ninfo\n", 0},
        {"reconcert settings 1\nnew_one 2\n1\nx\n0\n\n", 0},
        {"reconcert settings 1\nlog_level", -1},
        {"reconcert settings 1\nlog_level 1\n4\ninfo", -1},
        {"reconcert settings 1\nlog_level 1\n5\ninfo\n", -1},
        {"reconcert settings 1\nlog_level 1\n99999999999999999999\ninfo\n", -1},
        {"reconcert settings 1\nlog_level 4097\n", -1},
        {"reconcert settings 1\nlog_level 1\n1\nx\n", -1},
        {"reconcert settings 1\nproxy_listen 1\n0\n\n", -1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct settings s;
        struct error e;
        int fd = memfd_create("pack", MFD_CLOEXEC);
        CU_ASSERT(write(fd, cases[i].text, strlen(cases[i].text)) >= 0);
        CU_ASSERT_EQUAL(settings_unpack(&s, fd, &e), cases[i].rc);
        settings_fini(&s);
        close(fd);
    }
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"pack", test_pack},
        {"pack for a worker", test_pack_for_worker},
        {"broken pack", test_broken_pack},
    };

    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("settings pack", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
