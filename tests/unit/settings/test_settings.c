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
#include "tests/support/settings_text.h"

static void test_defaults(void)
{
    struct settings s;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = settings_text_home()}, &e), 0);
    CU_ASSERT_EQUAL(s.declarative_config_count, 0);
    CU_ASSERT_PTR_NULL(s.declarative_config);
    CU_ASSERT_PTR_NULL(s.declarative_config_string);
    CU_ASSERT_EQUAL_FATAL(s.proxy_listen.count, 4);
    CU_ASSERT_STRING_EQUAL(s.proxy_listen.items[0].address, "0.0.0.0");
    CU_ASSERT_EQUAL(s.proxy_listen.items[0].port, 8000);
    CU_ASSERT_FALSE(s.proxy_listen.items[0].ssl);
    CU_ASSERT_STRING_EQUAL(s.proxy_listen.items[3].address, "::");
    CU_ASSERT_EQUAL(s.proxy_listen.items[3].port, 8443);
    CU_ASSERT_TRUE(s.proxy_listen.items[3].ssl && s.proxy_listen.items[3].http2);
    CU_ASSERT_TRUE(s.proxy_listen.items[3].is_default);
    CU_ASSERT_EQUAL(s.status_listen.count, 1);
    CU_ASSERT_EQUAL(s.status_listen.items[0].port, 8007);
    CU_ASSERT_EQUAL(s.admin_listen.items[0].port, 8001);
    CU_ASSERT_EQUAL(s.stream_listen.count, 0);
    CU_ASSERT_STRING_EQUAL(s.prefix, "/home/a/.local/state/reconcert");
    CU_ASSERT_EQUAL(s.plugin_count, 1);
    CU_ASSERT_STRING_EQUAL(s.plugins[0], "bundled");
    CU_ASSERT_EQUAL(s.ssl_cert_count, 0);
    CU_ASSERT_EQUAL_FATAL(s.ssl_protocol_count, 2);
    CU_ASSERT_STRING_EQUAL(s.ssl_protocols[0], "TLSv1.2");
    CU_ASSERT_STRING_EQUAL(s.ssl_cipher_suite, "intermediate");
    CU_ASSERT_PTR_NOT_NULL(strstr(s.ssl_ciphers, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    CU_ASSERT_FALSE(s.ssl_prefer_server_ciphers);
    CU_ASSERT_STRING_EQUAL(s.lua_ssl_trusted_certificate, "system");
    CU_ASSERT(s.nginx_worker_processes >= 1 && s.nginx_worker_processes <= SETTINGS_WORKERS_MAX);
    CU_ASSERT_STRING_EQUAL(s.nginx_user, "nobody nogroup");
    CU_ASSERT_EQUAL(s.log_level, LOG_NOTICE);
    CU_ASSERT_PTR_NULL(s.dns_resolver);
    CU_ASSERT_STRING_EQUAL(s.dns_hostsfile, "/etc/hosts");
    CU_ASSERT_PTR_NULL(s.acme_server);
    CU_ASSERT_PTR_NULL(s.acme_trusted_certificate);
    CU_ASSERT_EQUAL(s.acme_max_document, (uint64_t)512 << 20);
    CU_ASSERT_EQUAL(s.acme_parsed_cache, 16384);
    CU_ASSERT_EQUAL(s.acme_poll_interval, 10);
    CU_ASSERT_EQUAL(s.acme_demand_total, 1000);
    CU_ASSERT_EQUAL(s.acme_demand_per_address, 20);
    CU_ASSERT_EQUAL(s.acme_demand_per_domain, 50);
    CU_ASSERT_FALSE(s.acme_start_with_last_good);
    CU_ASSERT_TRUE(s.acme_local_copy);
    CU_ASSERT_FALSE(s.acme_local_copy_is_stated);
    CU_ASSERT_EQUAL(s.acme_log_format, LOG_AUTO);
    CU_ASSERT_STRING_EQUAL(s.role, "traditional");
    CU_ASSERT_EQUAL(s.note_count, 0);
    settings_fini(&s);
}

/* Each default passes its own check, and help has its words. */
static void test_rows(void)
{
    size_t count = 0;

    for (const struct settings_row *r = settings_rows(); r->name; r++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(r->help);
        CU_ASSERT(strlen(r->help) > 3 && !strchr(r->help, '\n'));
        CU_ASSERT_PTR_NOT_NULL(r->value);
        CU_ASSERT_PTR_NOT_NULL(r->type);
        for (const struct settings_row *other = settings_rows(); other != r; other++)
            CU_ASSERT_STRING_NOT_EQUAL(r->name, other->name);
        count++;
    }
    CU_ASSERT(count > 40);
}

static void test_prefix(void)
{
    static const struct {
        const char *env[4];
        bool is_root;
        const char *prefix; /* NULL = refused */
    } cases[] = {
        {{"HOME=/home/a"}, true, "/var/lib/reconcert"},
        {{"KONG_PREFIX=/srv/x/"}, true, "/srv/x"},
        {{"KONG_PREFIX=state"}, false, "state"},
        {{"XDG_STATE_HOME=/s", "HOME=/home/a"}, false, "/s/reconcert"},
        {{"XDG_STATE_HOME=relative", "HOME=/home/a"}, false, "/home/a/.local/state/reconcert"},
        {{"HOME="}, false, NULL},
        {{NULL}, false, NULL},
        {{"KONG_PREFIX=/"}, false, "/"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct settings s;
        struct error e;
        int rc = settings_read(
            &s,
            &(struct settings_input){.environment = settings_text_variables(cases[i].env),
                                     .is_root = cases[i].is_root},
            &e);
        CU_ASSERT_EQUAL(rc, cases[i].prefix ? 0 : -1);
        if (rc == 0 && cases[i].prefix)
            CU_ASSERT_STRING_EQUAL(s.prefix, cases[i].prefix);
        if (rc)
            CU_ASSERT_STRING_EQUAL(e.path, "prefix");
        settings_fini(&s);
    }
}

static void test_layers(void)
{
    struct settings s;
    struct error e;
    char path[SETTINGS_TEXT_PATH_SIZE];
    const char text[] = "log_level = debug\n"
                        "acme_poll_interval = 11\n"
                        "acme_parsed_cache = 12\n"
                        "declarative_config = file.yaml\n"
                        "ssl_cert = a.pem,  b.pem\n"
                        "ssl_cert_key = a.key,b.key\n";
    int fd = settings_text_open(text, strlen(text), path);
    const char *const env[] = {"HOME=/h",
                               "KONG_LOG_LEVEL=info",
                               "KONG_ACME_POLL_INTERVAL=21",
                               "KONG_DECLARATIVE_CONFIG=env.yaml",
                               "LOG_LEVEL=crit",
                               "KONG_",
                               NULL};
    const char *const set[] = {"log_level=warn", "acme_log_format = json", NULL};
    const char *const files[] = {"one, two.yaml", "-", NULL};
    struct settings_input input = {
        .file = path, .environment = settings_text_variables(env), .assignments = set};

    CU_ASSERT_EQUAL_FATAL(settings_read(&s, &input, &e), 0);
    CU_ASSERT_EQUAL(s.log_level, LOG_WARN);
    CU_ASSERT_EQUAL(s.acme_poll_interval, 21);
    CU_ASSERT_EQUAL(s.acme_parsed_cache, 12);
    CU_ASSERT_EQUAL(s.acme_log_format, LOG_JSON);
    CU_ASSERT_EQUAL(s.declarative_config_count, 1);
    CU_ASSERT_STRING_EQUAL(s.declarative_config[0], "env.yaml");
    CU_ASSERT_EQUAL_FATAL(s.ssl_cert_count, 2);
    CU_ASSERT_STRING_EQUAL(s.ssl_cert[1], "b.pem");
    settings_fini(&s);

    input.files = files;
    CU_ASSERT_EQUAL_FATAL(settings_read(&s, &input, &e), 0);
    CU_ASSERT_EQUAL_FATAL(s.declarative_config_count, 2);
    CU_ASSERT_STRING_EQUAL(s.declarative_config[0], "one, two.yaml");
    CU_ASSERT_STRING_EQUAL(s.declarative_config[1], "-");
    CU_ASSERT_PTR_NULL(s.declarative_config[2]);
    settings_fini(&s);
    close(fd);
}

/* A bad value that a later layer overrides harms nobody; an empty one or NONE means the default. */
static void test_overridden(void)
{
    struct settings s;
    struct error e;
    char path[SETTINGS_TEXT_PATH_SIZE];
    const char text[] = "log_level = nonsense\nacme_poll_interval = 99\nplugins = NONE\n";
    int fd = settings_text_open(text, strlen(text), path);
    const char *const env[] = {"HOME=/h", "KONG_LOG_LEVEL=info", "KONG_ACME_POLL_INTERVAL=", NULL};

    CU_ASSERT_EQUAL_FATAL(
        settings_read(
            &s, &(struct settings_input){.file = path, .environment = settings_text_variables(env)},
            &e),
        0);
    CU_ASSERT_EQUAL(s.log_level, LOG_INFO);
    CU_ASSERT_EQUAL(s.acme_poll_interval, 10);
    CU_ASSERT_EQUAL(s.plugin_count, 1);
    settings_fini(&s);
    close(fd);
}

static void test_syntax(void)
{
    struct settings s;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(settings_text_read(&s,
                                             "# a comment\r\n"
                                             "; another\n"
                                             "\n"
                                             "  log_level=debug# here too\r\n"
                                             "declarative_config = a\\#b.yaml , \\\n"
                                             "   # within\n"
                                             "   c.yaml   # the end\n"
                                             "dns_hostsfile = \"/etc/x y\"\n"
                                             "acme_poll_interval = 7\n"
                                             "acme_poll_interval = 8",
                                             &e),
                          0);
    CU_ASSERT_EQUAL(s.log_level, LOG_DEBUG);
    CU_ASSERT_EQUAL_FATAL(s.declarative_config_count, 2);
    CU_ASSERT_STRING_EQUAL(s.declarative_config[0], "a#b.yaml");
    CU_ASSERT_STRING_EQUAL(s.declarative_config[1], "c.yaml");
    CU_ASSERT_STRING_EQUAL(s.dns_hostsfile, "\"/etc/x y\"");
    CU_ASSERT_EQUAL(s.acme_poll_interval, 8);
    settings_fini(&s);
}

static void test_notes(void)
{
    struct settings s;
    struct error e;
    const char *const env[] = {"HOME=/h",
                               "KONG_DATABASE=off",
                               "KONG_PG_HOST=db",
                               "KONG_PG_USER=",
                               "KONG_NGINX_DAEMON=off",
                               "KONG_NGINX_HTTP_INCLUDE=x",
                               "KONG_NGINX_MAIN_WORKER_PROCESSES=3",
                               "KONG_LUA_PACKAGE_PATH=x",
                               "KONG_STREAM_LISTEN=0.0.0.0:9000 udp",
                               "KONG_ADMIN_LISTEN=0.0.0.0:8001",
                               "KONG_ROLE=data_plane",
                               "KONG_CLUSTER_TELEMETRY_ENDPOINT=x",
                               "KONG_PROXY_ACCESS_LOG=/dev/stdout",
                               "KONG_TRUSTED_IPS=10.0.0.0/8,::/0, unix:",
                               "KONG_PROXY_LISTN=x",
                               "KONG_SOMETHING_ELSE=x",
                               "KONG_PROXY_SERVICE_HOST=10.0.0.1",
                               "KONG_PROXY_PORT=tcp://10.0.0.1:80",
                               "KONG_PROXY_PORT_80_TCP_ADDR=10.0.0.1",
                               "KONG_SSL_PROTOCOLS=TLSv1.3",
                               NULL};

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = settings_text_variables(env)},
                      &e),
        0);
    CU_ASSERT_TRUE(settings_text_has_note(&s, "pg_host: ignored, there is no database here"));
    CU_ASSERT_FALSE(settings_text_has_note(&s, "pg_user"));
    CU_ASSERT_FALSE(settings_text_has_note(&s, "database: "));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "nginx_daemon: ignored, there is no nginx here"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "nginx_http_include: ignored"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "lua_package_path: ignored, there is no Lua here"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "stream_listen: checked; its part comes later"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "admin_listen: checked; its part comes later"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "role: checked; its part comes later"));
    CU_ASSERT_TRUE(
        settings_text_has_note(&s, "cluster_telemetry_endpoint: ignored, its part comes later"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "proxy_access_log: checked"));
    CU_ASSERT_FALSE(settings_text_has_note(&s, "trusted_ips"));
    CU_ASSERT_TRUE(
        settings_text_has_note(&s, "proxy_listn: unknown setting; did you mean proxy_listen?"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "something_else: unknown setting"));
    CU_ASSERT_TRUE(settings_text_has_note(&s, "ssl_protocols: counts only"));
    CU_ASSERT_FALSE(settings_text_has_note(&s, "proxy_service_host"));
    CU_ASSERT_FALSE(settings_text_has_note(&s, "proxy_port"));
    CU_ASSERT_EQUAL(s.note_count, 12);
    CU_ASSERT_EQUAL(s.nginx_worker_processes, 3);
    CU_ASSERT_EQUAL(s.trusted_ip_count, 3);
    CU_ASSERT_TRUE(s.stream_listen.items[0].udp);
    CU_ASSERT_EQUAL(s.ssl_protocol_count, 2);
    settings_fini(&s);
}

static void test_defaults_are_no_notes(void)
{
    struct settings s;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        settings_text_read(&s,
                           "role = traditional\nadmin_listen = off\nstream_listen = off\n"
                           "cluster_mtls = shared\nproxy_access_log = off\n",
                           &e),
        0);
    CU_ASSERT_EQUAL(s.note_count, 0);
    CU_ASSERT_EQUAL(s.admin_listen.count, 0);
    settings_fini(&s);
}

static void test_listen_flags(void)
{
    struct settings s;
    struct error e;
    const struct settings_listen *l;

    CU_ASSERT_EQUAL_FATAL(
        settings_text_read(
            &s,
            "proxy_listen = 127.0.0.1:0 ssl http2 proxy_protocol deferred bind reuseport "
            "backlog=16384 so_keepalive=30m::10, reuseport [2001:db8::1]:443 ssl ipv6only=off,"
            " localhost:80 so_keepalive=off, 127.0.0.1:0\n",
            &e),
        0);
    CU_ASSERT_EQUAL_FATAL(s.proxy_listen.count, 4);
    l = &s.proxy_listen.items[0];
    CU_ASSERT_EQUAL(l->port, 0);
    CU_ASSERT_TRUE(l->ssl && l->http2 && l->proxy_protocol && l->deferred && l->bind &&
                   l->reuseport);
    CU_ASSERT_EQUAL(l->backlog, 16384);
    CU_ASSERT_TRUE(l->so_keepalive_set && l->so_keepalive);
    CU_ASSERT_EQUAL(l->so_keepalive_idle_s, 1800);
    CU_ASSERT_EQUAL(l->so_keepalive_interval_s, 0);
    CU_ASSERT_EQUAL(l->so_keepalive_count, 10);
    CU_ASSERT_FALSE(l->is_default);
    l = &s.proxy_listen.items[1];
    CU_ASSERT_STRING_EQUAL(l->address, "2001:db8::1");
    CU_ASSERT_TRUE(l->ipv6only_set && !l->ipv6only && l->reuseport && !l->http2);
    l = &s.proxy_listen.items[2];
    CU_ASSERT_STRING_EQUAL(l->address, "localhost");
    CU_ASSERT_TRUE(l->so_keepalive_set && !l->so_keepalive);
    CU_ASSERT_EQUAL(s.note_count, 0);
    settings_fini(&s);
}

static void test_ciphers(void)
{
    static const struct {
        const char *text;
        size_t protocols;
        const char *first, *cipher;
        bool prefer;
    } cases[] = {
        {"ssl_cipher_suite = modern", 1, "TLSv1.3", NULL, false},
        {"ssl_cipher_suite = old", 2, "TLSv1.2", "AES128-SHA", true},
        {"ssl_cipher_suite = fips", 1, "TLSv1.2", "FIPS", true},
        {"ssl_cipher_suite = custom\nssl_protocols = TLSv1.3 TLSv1.2\nssl_ciphers = X", 2,
         "TLSv1.3", "X", true},
        {"ssl_cipher_suite = custom\nssl_prefer_server_ciphers = off", 2, "TLSv1.2", NULL, false},
        {"ssl_cipher_suite = custom\nssl_protocols = TLSv1.1 TLSv1.3", 1, "TLSv1.3", NULL, true},
    };
    struct settings s;
    struct error e;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CU_ASSERT_EQUAL_FATAL(settings_text_read(&s, cases[i].text, &e), 0);
        CU_ASSERT_EQUAL(s.ssl_protocol_count, cases[i].protocols);
        CU_ASSERT_STRING_EQUAL(s.ssl_protocols[0], cases[i].first);
        CU_ASSERT_PTR_NULL(s.ssl_protocols[s.ssl_protocol_count]);
        CU_ASSERT_EQUAL(s.ssl_prefer_server_ciphers, cases[i].prefer);
        CU_ASSERT_EQUAL(s.ssl_ciphers != NULL, cases[i].cipher != NULL);
        if (s.ssl_ciphers && cases[i].cipher)
            CU_ASSERT_PTR_NOT_NULL(strstr(s.ssl_ciphers, cases[i].cipher));
        settings_fini(&s);
    }
    CU_ASSERT_EQUAL(
        settings_text_read(&s, "ssl_cipher_suite = custom\nssl_protocols = TLSv1 TLSv1.1", &e), -1);
    CU_ASSERT_STRING_EQUAL(e.path, "ssl_protocols");
    settings_fini(&s);
}

static void test_document_string(void)
{
    struct settings s;
    struct error e;
    const char *const env[] = {"HOME=/h", "KONG_DECLARATIVE_CONFIG_STRING=  a: 1\n  b: '#'\n",
                               NULL};
    const char *const both[] = {"HOME=/h", "KONG_DECLARATIVE_CONFIG_STRING=a",
                                "KONG_DECLARATIVE_CONFIG=b", NULL};
    const char *const files[] = {"f.yaml", NULL};

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = settings_text_variables(env)},
                      &e),
        0);
    CU_ASSERT_STRING_EQUAL(s.declarative_config_string, "  a: 1\n  b: '#'\n");
    settings_fini(&s);
    CU_ASSERT_EQUAL(
        settings_read(&s, &(struct settings_input){.environment = settings_text_variables(both)},
                      &e),
        -1);
    settings_fini(&s);
    CU_ASSERT_EQUAL_FATAL(
        settings_read(
            &s,
            &(struct settings_input){.environment = settings_text_variables(env), .files = files},
            &e),
        0);
    CU_ASSERT_PTR_NULL(s.declarative_config_string);
    CU_ASSERT_STRING_EQUAL(s.declarative_config[0], "f.yaml");
    settings_fini(&s);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"defaults", test_defaults},
        {"rows", test_rows},
        {"prefix", test_prefix},
        {"layers", test_layers},
        {"overridden values", test_overridden},
        {"syntax", test_syntax},
        {"notes", test_notes},
        {"defaults are no notes", test_defaults_are_no_notes},
        {"listen flags", test_listen_flags},
        {"ciphers", test_ciphers},
        {"document string", test_document_string},
    };

    CU_initialize_registry();
    CU_pSuite suite = CU_add_suite("settings", NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(tests); i++)
        CU_add_test(suite, tests[i].name, tests[i].run);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}
