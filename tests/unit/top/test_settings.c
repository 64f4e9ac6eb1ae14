#include "reconciler/settings.h"

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

/* A settings file that lives as long as its descriptor; `path` names it. */
static int open_text(const char *text, size_t len, char path[64])
{
    int fd = memfd_create("conf", MFD_CLOEXEC);

    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        CU_FAIL_FATAL("memfd");
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static const char *const home_only[] = {"HOME=/home/a", NULL};

/* environ's type, though nobody writes to it. */
static char *const *variables(const char *const *list)
{
    return (char *const *)list;
}

static int read_text(struct settings *s, const char *text, struct error *e)
{
    char path[64];
    int fd = open_text(text, strlen(text), path);
    int rc = settings_read(
        s, &(struct settings_input){.file = path, .environment = variables(home_only)}, e);

    close(fd);
    return rc;
}

static void test_defaults(void)
{
    struct settings s;
    struct error e;

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = variables(home_only)}, &e), 0);
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
    CU_ASSERT_FALSE(s.acme_start_with_last_good);
    CU_ASSERT_TRUE(s.acme_local_copy);
    CU_ASSERT_FALSE(s.acme_local_copy_is_stated);
    CU_ASSERT_EQUAL(s.acme_log_format, LOG_KEY_VALUE);
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
        int rc = settings_read(&s,
                               &(struct settings_input){.environment = variables(cases[i].env),
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
    char path[64];
    const char text[] = "log_level = debug\n"
                        "acme_poll_interval = 11\n"
                        "acme_parsed_cache = 12\n"
                        "declarative_config = file.yaml\n"
                        "ssl_cert = a.pem,  b.pem\n"
                        "ssl_cert_key = a.key,b.key\n";
    int fd = open_text(text, strlen(text), path);
    const char *const env[] = {"HOME=/h",
                               "KONG_LOG_LEVEL=info",
                               "KONG_ACME_POLL_INTERVAL=21",
                               "KONG_DECLARATIVE_CONFIG=env.yaml",
                               "LOG_LEVEL=crit",
                               "KONG_",
                               NULL};
    const char *const set[] = {"log_level=warn", "acme_log_format = json", NULL};
    const char *const files[] = {"one, two.yaml", "-", NULL};
    struct settings_input input = {.file = path, .environment = variables(env), .assignments = set};

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
    char path[64];
    const char text[] = "log_level = nonsense\nacme_poll_interval = 99\nplugins = NONE\n";
    int fd = open_text(text, strlen(text), path);
    const char *const env[] = {"HOME=/h", "KONG_LOG_LEVEL=info", "KONG_ACME_POLL_INTERVAL=", NULL};

    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.file = path, .environment = variables(env)},
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

    CU_ASSERT_EQUAL_FATAL(read_text(&s,
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

/* One line of a file each, put on line 3: what is refused, where and why. */
static const struct {
    const char *line, *path, *why;
} bad[] = {
    {"no equals sign", "", "name = value"},
    {"[section]", "", "name = value"},
    {"log-level = x", "", "name = value"},
    {" = x", "", "name = value"},
    {"log_level = loud", "log_level", "\"loud\" is not one of debug"},
    {"log_level = \"debug\"", "log_level", "\\\"debug\\\""},
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
    {"ssl_cert_key = -----BEGIN PRIVATE KEY-----", "ssl_cert_key", "must be a file's path"},
    {"ssl_cipher_suite = best", "ssl_cipher_suite", "modern, intermediate"},
    {"ssl_protocols = SSLv3", "ssl_protocols", "TLSv1.2"},
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
    {"acme_server = https://user@ca.example/", "acme_server", "no host"},
    {"acme_max_document = 512x", "acme_max_document", "size"},
    {"acme_max_document = 1023", "acme_max_document", "size"},
    {"acme_max_document = 17g", "acme_max_document", "size"},
    {"acme_max_document = 18446744073709551615g", "acme_max_document", "size"},
    {"acme_parsed_cache = 0", "acme_parsed_cache", "number"},
    {"acme_parsed_cache = 1048577", "acme_parsed_cache", "number"},
    {"acme_poll_interval = 0", "acme_poll_interval", "number"},
    {"acme_poll_interval = 86401", "acme_poll_interval", "number"},
    {"acme_start_with_last_good = yes", "acme_start_with_last_good", "on or off"},
    {"acme_local_copy = 1", "acme_local_copy", "on or off"},
    {"acme_log_format = xml", "acme_log_format", "text, json"},
    {"acme_sever = x", "acme_sever", "did you mean acme_server?"},
    {"acme_unheard_of_setting = x", "acme_unheard_of_setting", "is no setting"},
    {"dns_hostsfile = a\tb", "dns_hostsfile", "control characters"},
    {"log_level = \033[31m\xff", "log_level", "\\x1b[31m\\xff"},
};

static void test_bad_values(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct settings s;
        struct error e;
        char path[64], text[512];
        int len = snprintf(text, sizeof(text), "# first\n\n%s\n", bad[i].line);
        int fd = open_text(text, (size_t)len, path);
        int rc = settings_read(
            &s, &(struct settings_input){.file = path, .environment = variables(home_only)}, &e);
        bool together = strstr(bad[i].why, "same number") || strstr(bad[i].line, "status_listen");

        if (rc != -1 || e.kind != ERROR_USAGE || strcmp(e.path, bad[i].path) != 0 ||
            !strstr(e.message, bad[i].why) || strchr(e.message, '\033') ||
            (!together && (strcmp(e.file, path) != 0 || e.line != 3))) {
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

    CU_ASSERT_EQUAL(settings_read(&s, &(struct settings_input){.environment = variables(env)}, &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "(KONG_LOG_LEVEL)"));
    CU_ASSERT_STRING_EQUAL(e.path, "log_level");
    CU_ASSERT_EQUAL(e.line, 0);
    settings_fini(&s);
    CU_ASSERT_EQUAL(
        settings_read(&s, &(struct settings_input){.environment = variables(env_unknown)}, &e), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "did you mean acme_server?"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = variables(home_only),
                                                           .assignments = set},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "(--set)"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = variables(home_only),
                                                           .assignments = unknown},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "did you mean log_level?"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = variables(home_only),
                                                           .assignments = shapeless},
                                  &e),
                    -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "name=value"));
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s,
                                  &(struct settings_input){.environment = variables(home_only),
                                                           .file = "/nowhere/x"},
                                  &e),
                    -1);
    CU_ASSERT_STRING_EQUAL(e.file, "/nowhere/x");
    settings_fini(&s);
    CU_ASSERT_EQUAL(
        settings_read(
            &s, &(struct settings_input){.environment = variables(home_only), .file = "/proc"}, &e),
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
                                      &(struct settings_input){.environment = variables(home_only),
                                                               .assignments = set},
                                      &e),
                        -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.message, "command line"));
        settings_fini(&s);
    }
}

static bool has_note(const struct settings *s, const char *text)
{
    for (size_t i = 0; i < s->note_count; i++)
        if (strstr(s->notes[i], text))
            return true;
    return false;
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
        settings_read(&s, &(struct settings_input){.environment = variables(env)}, &e), 0);
    CU_ASSERT_TRUE(has_note(&s, "pg_host: ignored, there is no database here"));
    CU_ASSERT_FALSE(has_note(&s, "pg_user"));
    CU_ASSERT_FALSE(has_note(&s, "database: "));
    CU_ASSERT_TRUE(has_note(&s, "nginx_daemon: ignored, there is no nginx here"));
    CU_ASSERT_TRUE(has_note(&s, "nginx_http_include: ignored"));
    CU_ASSERT_TRUE(has_note(&s, "lua_package_path: ignored, there is no Lua here"));
    CU_ASSERT_TRUE(has_note(&s, "stream_listen: checked; its part comes later"));
    CU_ASSERT_TRUE(has_note(&s, "admin_listen: checked; its part comes later"));
    CU_ASSERT_TRUE(has_note(&s, "role: checked; its part comes later"));
    CU_ASSERT_TRUE(has_note(&s, "cluster_telemetry_endpoint: ignored, its part comes later"));
    CU_ASSERT_TRUE(has_note(&s, "proxy_access_log: checked"));
    CU_ASSERT_TRUE(has_note(&s, "trusted_ips: checked"));
    CU_ASSERT_TRUE(has_note(&s, "proxy_listn: unknown setting; did you mean proxy_listen?"));
    CU_ASSERT_TRUE(has_note(&s, "something_else: unknown setting"));
    CU_ASSERT_TRUE(has_note(&s, "ssl_protocols: counts only"));
    CU_ASSERT_FALSE(has_note(&s, "proxy_service_host"));
    CU_ASSERT_FALSE(has_note(&s, "proxy_port"));
    CU_ASSERT_EQUAL(s.note_count, 13);
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

    CU_ASSERT_EQUAL_FATAL(read_text(&s,
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
        read_text(
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
        CU_ASSERT_EQUAL_FATAL(read_text(&s, cases[i].text, &e), 0);
        CU_ASSERT_EQUAL(s.ssl_protocol_count, cases[i].protocols);
        CU_ASSERT_STRING_EQUAL(s.ssl_protocols[0], cases[i].first);
        CU_ASSERT_PTR_NULL(s.ssl_protocols[s.ssl_protocol_count]);
        CU_ASSERT_EQUAL(s.ssl_prefer_server_ciphers, cases[i].prefer);
        CU_ASSERT_EQUAL(s.ssl_ciphers != NULL, cases[i].cipher != NULL);
        if (s.ssl_ciphers && cases[i].cipher)
            CU_ASSERT_PTR_NOT_NULL(strstr(s.ssl_ciphers, cases[i].cipher));
        settings_fini(&s);
    }
    CU_ASSERT_EQUAL(read_text(&s, "ssl_cipher_suite = custom\nssl_protocols = TLSv1 TLSv1.1", &e),
                    -1);
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
        settings_read(&s, &(struct settings_input){.environment = variables(env)}, &e), 0);
    CU_ASSERT_STRING_EQUAL(s.declarative_config_string, "  a: 1\n  b: '#'\n");
    settings_fini(&s);
    CU_ASSERT_EQUAL(settings_read(&s, &(struct settings_input){.environment = variables(both)}, &e),
                    -1);
    settings_fini(&s);
    CU_ASSERT_EQUAL_FATAL(
        settings_read(&s, &(struct settings_input){.environment = variables(env), .files = files},
                      &e),
        0);
    CU_ASSERT_PTR_NULL(s.declarative_config_string);
    CU_ASSERT_STRING_EQUAL(s.declarative_config[0], "f.yaml");
    settings_fini(&s);
}

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

    CU_ASSERT_EQUAL_FATAL(settings_read(&s,
                                        &(struct settings_input){.environment = variables(env),
                                                                 .assignments = set,
                                                                 .files = files},
                                        &e),
                          0);
    CU_ASSERT_EQUAL(settings_pack(&s, a, &e), 0);
    CU_ASSERT_EQUAL_FATAL(settings_unpack(&copy, a, &e), 0);
    CU_ASSERT_EQUAL(settings_pack(&copy, b, &e), 0);
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

/* Repeats `part` until the text has more than `bytes`. */
static void repeat(struct buf *text, const char *part, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_cstr(text, part);
}

static int read_buf(struct buf *text, struct error *e)
{
    struct settings s;
    char path[64];
    int fd = open_text(text->data, text->len, path);
    int rc = settings_read(
        &s, &(struct settings_input){.file = path, .environment = variables(home_only)}, e);

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

    buf_append(&text, "log_level = info\0", 17);
    CU_ASSERT_EQUAL(read_buf(&text, &e), -1);
    buf_free(&text);
}

static void test_notes_are_bounded(void)
{
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct settings s;
    struct error e;
    char path[64];
    int fd;

    for (int i = 0; i < SETTINGS_NOTES_MAX + 10; i++)
        buf_printf(&text, "pg_%d = x\n", i);
    fd = open_text(text.data, text.len, path);
    CU_ASSERT_EQUAL(
        settings_read(
            &s, &(struct settings_input){.file = path, .environment = variables(home_only)}, &e),
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
        {"defaults", test_defaults},
        {"rows", test_rows},
        {"prefix", test_prefix},
        {"layers", test_layers},
        {"overridden values", test_overridden},
        {"syntax", test_syntax},
        {"bad values", test_bad_values},
        {"places", test_places},
        {"secrets", test_secrets},
        {"notes", test_notes},
        {"defaults are no notes", test_defaults_are_no_notes},
        {"listen flags", test_listen_flags},
        {"ciphers", test_ciphers},
        {"document string", test_document_string},
        {"pack", test_pack},
        {"broken pack", test_broken_pack},
        {"limits", test_limits},
        {"notes are bounded", test_notes_are_bounded},
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
