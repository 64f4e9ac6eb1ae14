#include "reconciler/settings/settings.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "tests/support/settings_text.h"

/* One line of a file each, put on line 3: what is refused, where and why. */
static const struct {
    const char *line, *path, *why;
} bad[] = {
    {"no equals sign", "", "name = value"},
    {"[section]", "", "name = value"},
    {"log-level = x", "", "name = value"},
    {" = x", "", "name = value"},
    {"log_level = loud", "log_level", "\"loud\" is not one of debug"},
    {"log_level = \"debug\"", "log_level", "\"debug\""},
    {"log_level = {vault://env/x}", "log_level", "is not one of"},
    {"prefix = {vault://env/x}", "prefix", "not in this build yet"},
    {"database = postgres", "database", "there is no database here"},
    {"proxy_listen = 8000", "proxy_listen", "neither address:port"},
    {"proxy_listen = 0.0.0.0", "proxy_listen", "nor a flag"},
    {"proxy_listen = 0.0.0.0:", "proxy_listen", "has no port"},
    {"proxy_listen = 0.0.0.0:65536", "proxy_listen", "has no port"},
    {"proxy_listen = 0.0.0.0:80x", "proxy_listen", "has no port"},
    {"proxy_listen = 1.2.3:80", "proxy_listen", "does not begin with an IP address"},
    {"proxy_listen = 1.2.3.400:80", "proxy_listen", "does not begin with an IP address"},
    {"proxy_listen = ::1:80", "proxy_listen", "in brackets"},
    {"proxy_listen = [::1:80", "proxy_listen", "[address]:port"},
    {"proxy_listen = [1.2.3.4]:80", "proxy_listen", "no IPv6 address"},
    {"proxy_listen = [::g]:80", "proxy_listen", "no IPv6 address"},
    {"proxy_listen = unix:/tmp/x", "proxy_listen", "is a unix socket"},
    {"proxy_listen = *:80", "proxy_listen", "does not begin with an IP address"},
    {"proxy_listen = 0.0.0.0:80 sll", "proxy_listen", "\"sll\" is neither"},
    {"proxy_listen = 0.0.0.0:80 udp", "proxy_listen", "this kind of listener"},
    {"proxy_listen = 0.0.0.0:80 0.0.0.0:81", "proxy_listen", "two addresses"},
    {"proxy_listen = 0.0.0.0:80 backlog=0", "proxy_listen", "backlog=1"},
    {"proxy_listen = 0.0.0.0:80 backlog=65536", "proxy_listen", "backlog=1"},
    {"proxy_listen = 0.0.0.0:80 ipv6only=on", "proxy_listen", "not IPv6"},
    {"proxy_listen = [::]:80 ipv6only=yes", "proxy_listen", "ipv6only=on"},
    {"proxy_listen = 0.0.0.0:80 so_keepalive=1", "proxy_listen", "so_keepalive"},
    {"proxy_listen = 0.0.0.0:80 so_keepalive=::", "proxy_listen", "so_keepalive"},
    {"proxy_listen = 0.0.0.0:80 so_keepalive=10:20", "proxy_listen", "so_keepalive"},
    {"proxy_listen = 0.0.0.0:80 so_keepalive=10h:20:1", "proxy_listen", "so_keepalive"},
    {"proxy_listen = 0.0.0.0:80 so_keepalive=::128", "proxy_listen", "so_keepalive"},
    {"proxy_listen = 0.0.0.0:80, 0.0.0.0:80 ssl", "proxy_listen", "listed before"},
    {"proxy_listen = 0.0.0.0:80, off", "proxy_listen", "\"off\" is neither"},
    {"stream_listen = 0.0.0.0:80 http2", "stream_listen", "this kind of listener"},
    {"status_listen = 0.0.0.0:80 ssl", "status_listen", "not in this build yet"},
    {"admin_listen = nonsense", "admin_listen", "nor a flag"},
    {"port_maps = 80", "port_maps", "80:8000"},
    {"port_maps = 80:0", "port_maps", "80:8000"},
    {"port_maps = 80:8000, 65536:1", "port_maps", "80:8000"},
    {"nginx_worker_processes = 0", "nginx_worker_processes", "number from 1 to 256"},
    {"nginx_worker_processes = 257", "nginx_worker_processes", "number from 1 to 256"},
    {"nginx_worker_processes = many", "nginx_worker_processes", "number from 1 to 256"},
    {"nginx_user = a b c", "nginx_user", "user group"},
    {"nginx_user = a;b", "nginx_user", "user group"},
    {"ssl_cert = a.pem", "ssl_cert_key", "same number"},
    {"ssl_cert_key = a.pem, b.pem", "ssl_cert", "same number"},
    {"acme_trusted_certificate = -----BEGIN PRIVATE KEY-----", "acme_trusted_certificate",
     "must be a file's path"},
    {"acme_trusted_certificate = LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t", "acme_trusted_certificate",
     "must be a file's path"},
    {"ssl_cipher_suite = best", "ssl_cipher_suite", "modern, intermediate"},
    {"ssl_protocols = SSLv3", "ssl_protocols", "TLSv1.2"},
    {"vault_env_prefix = a\tb", "vault_env_prefix", "control characters"},
    {"dns_resolver = 127.0.0.1:0", "dns_resolver", "IP address"},
    {"dns_resolver = 127.0.0.1, ns.example", "dns_resolver", "IP address"},
    {"dns_resolver = [::1]x", "dns_resolver", "[address]:port"},
    {"plugins = bundled, a/b", "plugins", "name of a plugin"},
    {"trusted_ips = 10.0.0.0/33", "trusted_ips", "CIDR"},
    {"trusted_ips = ::/129", "trusted_ips", "CIDR"},
    {"trusted_ips = example.com", "trusted_ips", "CIDR"},
    {"real_ip_header = X Y", "real_ip_header", "name of a header"},
    {"real_ip_recursive = maybe", "real_ip_recursive", "on or off"},
    {"role = both", "role", "data_plane"},
    {"cluster_mtls = none", "cluster_mtls", "shared"},
    {"cluster_listen = ssl", "cluster_listen", "has no address:port"},
    {"cluster_control_plane = cp", "cluster_control_plane", "nor a flag"},
    {"acme_server = http://ca.example/dir", "acme_server", "https://"},
    {"acme_server = https:///dir", "acme_server", "no host"},
    {"acme_server = https://ca.example/a b", "acme_server", "characters"},
    {"acme_server = https://user:word@ca.example/", "acme_server", "a user or password"},
    {"acme_max_document = 512x", "acme_max_document", "size"},
    {"acme_max_document = 1023", "acme_max_document", "size"},
    {"acme_max_document = 17g", "acme_max_document", "size"},
    {"acme_max_document = 18446744073709551615g", "acme_max_document", "size"},
    {"acme_parsed_cache = 0", "acme_parsed_cache", "number"},
    {"acme_parsed_cache = 1048577", "acme_parsed_cache", "number"},
    {"acme_poll_interval = 0", "acme_poll_interval", "number"},
    {"acme_poll_interval = 86401", "acme_poll_interval", "number"},
    {"acme_demand_total = 100001", "acme_demand_total", "number"},
    {"acme_demand_per_address = -1", "acme_demand_per_address", "number"},
    {"acme_demand_per_domain = 100001", "acme_demand_per_domain", "number"},
    {"acme_start_with_last_good = yes", "acme_start_with_last_good", "on or off"},
    {"acme_approve = yes", "acme_approve", "neither on, off nor the path"},
    {"acme_approve = False", "acme_approve", "neither on, off nor the path"},
    {"acme_local_copy = 1", "acme_local_copy", "on or off"},
    {"acme_log_format = xml", "acme_log_format", "auto, text, json"},
    {"acme_sever = x", "acme_sever", "did you mean acme_server?"},
    {"acme_unheard_of_setting = x", "acme_unheard_of_setting", "is no setting"},
    {"dns_hostsfile = a\tb", "dns_hostsfile", "control characters"},
    {"log_level = \033[31m\xff", "log_level", "\033[31m\xff"},
};

/* Values that are wrong, and of which nothing may be told: "Hidden" stands in each. */
static void test_nothing_is_quoted(void)
{
    char long_path[PATH_MAX + 100], long_key[SETTINGS_VALUE_MAX + 100];
    const char *const variables[] = {
        "KONG_SSL_CERT_KEY=-----BEGIN PRIVATE KEY-----\nHidden\n-----END PRIVATE KEY-----",
        "KONG_SSL_CERT_KEY=Hidden\x01",
        "KONG_SSL_CERT_KEY={vault://env/Hidden}",
        "KONG_CLUSTER_CERT_KEY=Hidden\x01",
        "KONG_PREFIX=-----BEGIN PRIVATE KEY-----Hidden",
        "KONG_DECLARATIVE_CONFIG=key: |\n  Hidden",
        "KONG_ACME_SERVER=https://user:Hidden@ca.example/",
        "KONG_ACME_SERVER=-----BEGIN PRIVATE KEY----- Hidden -----END PRIVATE KEY-----",
        long_path,
        long_key,
    };

    memset(long_path, 'a', sizeof(long_path));
    memcpy(long_path, STR("KONG_PREFIX=/Hidden").ptr, STR("KONG_PREFIX=/Hidden").len);
    long_path[sizeof(long_path) - 1] = '\0';
    memset(long_key, 'a', sizeof(long_key));
    memcpy(long_key, STR("KONG_SSL_CERT=Hidden").ptr, STR("KONG_SSL_CERT=Hidden").len);
    long_key[sizeof(long_key) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
        char *const environment[] = {(char *)(uintptr_t) "HOME=/h", (char *)(uintptr_t)variables[i],
                                     NULL};
        struct settings s;
        struct error e;

        CU_ASSERT_EQUAL(settings_read(&s, &(struct settings_input){.environment = environment}, &e),
                        -1);
        CU_ASSERT_EQUAL(e.kind, ERROR_USAGE);
        CU_ASSERT_PTR_NULL(strstr(e.message, "Hidden"));
        CU_ASSERT_PTR_NULL(strstr(e.path, "Hidden"));
        settings_fini(&s);
    }
}

/* Lists of PEM texts and their base64, as Kong takes them. */
static void test_texts_in_the_place_of_files(void)
{
    char *const environment[] = {(char *)(uintptr_t) "HOME=/h",
                                 (char *)(uintptr_t) "KONG_SSL_CERT=-----BEGIN A-----\r\nMA==\r\n"
                                                     "-----END A-----\r\n, /b.pem",
                                 (char *)(uintptr_t) "KONG_SSL_CERT_KEY=LS0tLS1CRUdJTiBB\nLS0t,/b",
                                 NULL};
    const char *const set[] = {"ssl_cert=/a", "ssl_cert_key=-----BEGIN A-----", NULL};
    struct settings s;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = environment}, &e), 0);
    CU_ASSERT_EQUAL_FATAL(s.ssl_cert_key_count, 2);
    CU_ASSERT_STRING_EQUAL(s.ssl_cert[0], "-----BEGIN A-----\r\nMA==\r\n-----END A-----");
    CU_ASSERT_STRING_EQUAL(s.ssl_cert_key[0], "LS0tLS1CRUdJTiBB\nLS0t");
    settings_fini(&s);

    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = settings_text_home(),
                                                           .assignments = set},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "there for all users to see"));
    settings_fini(&s);
}

static void test_bad_values(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct settings s;
        struct error e;
        char path[SETTINGS_TEXT_PATH_SIZE], text[512];
        int len = snprintf(text, sizeof(text), "# first\n\n%s\n", bad[i].line);
        int fd = settings_text_open(text, (size_t)len, path);
        int rc = settings_read(
            &s, &(struct settings_input){.file = path, .environment = settings_text_home()}, &e);

        if (rc != -1 || e.kind != ERROR_USAGE || strcmp(e.path, bad[i].path) != 0 ||
            !strstr(e.message, bad[i].why) || strcmp(e.file, path) != 0 || e.line != 3) {
            printf("\n%s: %d %s:%u: %s: %s\n", bad[i].line, rc, e.file, e.line, e.path, e.message);
            CU_FAIL("not refused as it should be");
        }
        settings_fini(&s);
        close(fd);
    }
}

/* Where it was stated instead of a file and a line. */
static void test_places(void)
{
    struct settings s;
    struct error e;
    const char *const env[] = {"HOME=/h", "KONG_LOG_LEVEL=loud", NULL};
    const char *const env_unknown[] = {"HOME=/h", "KONG_ACME_SERVR=x", NULL};
    const char *const set[] = {"log_level=loud", NULL};
    const char *const unknown[] = {"log_levl=info", NULL};
    const char *const shapeless[] = {"log_level", NULL};

    CU_ASSERT_EQUAL(
        settings_read(&s, &(struct settings_input){.environment = settings_text_variables(env)},
                      &e),
        -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "(KONG_LOG_LEVEL)"));
    CU_ASSERT_STRING_EQUAL(e.path, "log_level");
    CU_ASSERT_EQUAL(e.line, 0);
    settings_fini(&s);
    CU_ASSERT_EQUAL(
        settings_read(
            &s, &(struct settings_input){.environment = settings_text_variables(env_unknown)}, &e),
        -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "did you mean acme_server?"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = settings_text_home(),
                                                           .assignments = set},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "(--set)"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = settings_text_home(),
                                                           .assignments = unknown},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "did you mean log_level?"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = settings_text_home(),
                                                           .assignments = shapeless},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "name=value"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = settings_text_home(),
                                                           .file = "/nowhere/x"},
                                  &e),
                    -1);
    CU_ASSERT_STRING_EQUAL(e.file, "/nowhere/x");
    settings_fini(&s);
    CU_ASSERT_EQUAL(
        settings_read(
            &s, &(struct settings_input){.environment = settings_text_home(), .file = "/proc"}, &e),
        -1);
    settings_fini(&s);
}

static void test_secrets(void)
{
    static const char *const secrets[] = {"declarative_config_string={}", "pg_password=x"};

    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        struct settings s;
        struct error e;
        const char *const set[] = {secrets[i], NULL};
        CU_ASSERT_EQUAL(settings_read(&s,
                                      &(struct settings_input){.environment = settings_text_home(),
                                                               .assignments = set},
                                      &e),
                        -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "command line"));
        settings_fini(&s);
    }
}

/* Repeats `part` until the text has more than `bytes`. */
static void repeat(struct buf *text, const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_cstr(text, part);
}

static int read_buf(struct buf *text, struct error *e)
{
    struct settings s;
    char path[SETTINGS_TEXT_PATH_SIZE];
    int fd = settings_text_open(text->data, text->len, path);
    int rc = settings_read(
        &s, &(struct settings_input){.file = path, .environment = settings_text_home()}, e);

    settings_fini(&s);
    close(fd);
    buf_clear(text);
    return rc;
}

/* Each limit at its edge and one over it. */
static void test_limits(void)
{
    struct buf text = BUF_INIT((size_t)4 << 20);
    struct error e;

    repeat(&text, "#23456789012345\n", ((size_t)1 << 20) / 16);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    repeat(&text, "#23456789012345\n", ((size_t)1 << 20) / 16);
    buf_char(&text, '\n');
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    repeat(&text, "log_level=info\n", 4096);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    repeat(&text, "log_level=info\n", 4097);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);
    CU_ASSERT_EQUAL(e.line, 4097);

    buf_cstr(&text, "dns_hostsfile = ");
    repeat(&text, "x", PATH_MAX - 1);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "dns_hostsfile = ");
    repeat(&text, "x", PATH_MAX);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);
    buf_cstr(&text, "cluster_server_name = ");
    repeat(&text, "x", SETTINGS_VALUE_MAX);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "cluster_server_name = ");
    repeat(&text, "x", SETTINGS_VALUE_MAX + 1);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    buf_cstr(&text, "declarative_config = ");
    repeat(&text, "x,", SETTINGS_ITEMS_MAX);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "declarative_config = ");
    repeat(&text, "x,", SETTINGS_ITEMS_MAX + 1);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    buf_cstr(&text, "proxy_listen = ");
    repeat(&text, "127.0.0.1:0,", SETTINGS_LISTEN_MAX);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "proxy_listen = ");
    repeat(&text, "127.0.0.1:0,", SETTINGS_LISTEN_MAX + 1);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    buf_cstr(&text, "acme_server = https://ca.example/");
    repeat(&text, "x", 2048 - 19);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "acme_server = https://ca.example/");
    repeat(&text, "x", 2048 - 18);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    buf_cstr(&text, "real_ip_header = ");
    repeat(&text, "x", 64);
    CU_ASSERT_EQUAL(read_buf(&text, &e), 0);
    buf_cstr(&text, "real_ip_header = ");
    repeat(&text, "x", 65);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);

    buf_append(&text, "log_level = info\0", 17);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);
    buf_free(&text);
}

static void test_long_document(void)
{
    static const char name[] = "KONG_DECLARATIVE_CONFIG_STRING=";
    char *variable = malloc(sizeof(name) + SETTINGS_CONFIG_STRING_MAX + 1);
    const char *const list[] = {"HOME=/h", variable, NULL};
    struct settings_input input = {.environment = settings_text_variables(list)};

    CU_ASSERT_PTR_NOT_NULL_FATAL(variable);
    for (size_t over = 0; over < 2; over++) {
        size_t len = SETTINGS_CONFIG_STRING_MAX + over;
        struct settings s;
        struct error e;
        memcpy(variable, name, sizeof(name));
        memset(variable + sizeof(name) - 1, 'x', len);
        variable[sizeof(name) - 1 + len] = '\0';
        CU_ASSERT_EQUAL(settings_read(&s, &input, &e), over ? -1 : 0);
        settings_fini(&s);
    }
    free(variable);
}

static void test_notes_are_bounded(void)
{
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct settings s;
    struct error e;
    char path[SETTINGS_TEXT_PATH_SIZE];
    int fd;

    for (int i = 0; i < SETTINGS_NOTES_MAX + 10; i++)
        buf_printf(&text, "pg_%d = x\n", i);
    fd = settings_text_open(text.data, text.len, path);
    CU_ASSERT_EQUAL(
        settings_read(
            &s, &(struct settings_input){.file = path, .environment = settings_text_home()}, &e),
        0);
    CU_ASSERT_EQUAL(s.note_count, SETTINGS_NOTES_MAX);
    settings_fini(&s);
    close(fd);
    buf_free(&text);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"bad values", test_bad_values},
        {"nothing is quoted", test_nothing_is_quoted},
        {"texts in the place of files", test_texts_in_the_place_of_files},
        {"places", test_places},
        {"secrets", test_secrets},
        {"limits", test_limits},
        {"long document", test_long_document},
        {"notes are bounded", test_notes_are_bounded},
    };

    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("settings refused", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
