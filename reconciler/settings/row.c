#include "row.h"

#include <stdlib.h>

#include "listen.h"
#include "reconciler/base/nearest.h"
#include "rule.h"
#include "setting.h"

#define DOCUMENT_MIN ((uint64_t)1 << 10)
#define DOCUMENT_MAX ((uint64_t)16 << 30)
#define PARSED_CACHE_MAX ((uint64_t)1 << 20)
#define POLL_INTERVAL_MAX 86400
#define DEMAND_MAX 100000
#define DISTANCE_MAX 3 /* letters between a wrong name and the one that is offered for it */

static const char *const suite_words[] = {"modern", "intermediate", "old", "fips", "custom", NULL};
static const char *const protocol_words[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL};
static const char *const role_words[] = {"traditional", "control_plane", "data_plane", NULL};
static const char *const mtls_words[] = {"shared", "pki", NULL};
static const char *const ocsp_words[] = {"on", "off", "optional", NULL};

static int check_each(struct str list, int (*check)(struct str, struct error *), struct error *e)
{
    struct str rest = list;

    while (rest.ptr)
        if (check(str_trim(str_cut(rest, ',', &rest)), e))
            return -1;
    return 0;
}

static int check_name_servers(struct str value, struct error *e)
{
    return check_each(value, rule_name_server, e);
}

static int check_database(struct str value, struct error *e)
{
    return str_equal_cstr(value, "off")
               ? 0
               : rule_refuse(value, "is not `off`: there is no database here", e);
}

static int check_endpoint(struct str value, struct error *e)
{
    struct settings_listen ignored;

    return listen_parse(value, LISTEN_HTTP, &ignored, e);
}

static int check_listens(struct str value, struct error *e)
{
    return str_equal_cstr(value, "off") ? 0 : check_each(value, check_endpoint, e);
}

#define AT(member) offsetof(struct settings, member)
#define KEPT(how, member, ...) \
    (&(const struct setting_type){.kind = (how), .at = AT(member), ##__VA_ARGS__})

static const struct settings_row rows[] = {
    {"declarative_config", "",
     "files and folders to read, a comma list; `-` is stdin; FILE arguments win", false,
     KEPT(SETTING_LIST, declarative_config, .count_at = AT(declarative_config_count),
          .check = rule_path)},
    {"declarative_config_string", "", "the declarative file itself, as YAML or JSON", false,
     KEPT(SETTING_TEXT, declarative_config_string, .is_long = true)},
    {"prefix", "",
     "folder for state: keys, certificates, sockets; none = /var/lib/reconcert for root, else "
     "$XDG_STATE_HOME/reconcert",
     false, KEPT(SETTING_TEXT, prefix, .check = rule_path)},
    {"proxy_listen", "0.0.0.0:8000, [::]:8000, 0.0.0.0:8443 http2 ssl, [::]:8443 http2 ssl",
     "addresses that serve, with Kong's flags; `off` = none", false,
     KEPT(SETTING_HTTP_LISTEN, proxy_listen, .is_for_workers = true)},
    {"status_listen", "127.0.0.1:8007", "addresses that tell /status and /certificates", false,
     KEPT(SETTING_HTTP_LISTEN, status_listen)},
    {"admin_listen", "127.0.0.1:8001", "addresses of Kong's Admin API", true,
     KEPT(SETTING_HTTP_LISTEN, admin_listen)},
    {"stream_listen", "off", "addresses that pass TCP and UDP on", true,
     KEPT(SETTING_STREAM_LISTEN, stream_listen)},
    {"port_maps", "",
     "which port of the world comes in at which of ours, such as 80:8000, 443:8443", false,
     KEPT(SETTING_PORT_MAPS, port_maps, .count_at = AT(port_map_count))},
    {"nginx_worker_processes", "auto", "worker processes; `auto` = one for each CPU", false,
     KEPT(SETTING_WORKERS, nginx_worker_processes, .min = 1, .max = SETTINGS_WORKERS_MAX)},
    {"nginx_user", "nobody nogroup", "what workers become when started as root: user and group",
     false, KEPT(SETTING_TEXT, nginx_user, .check = rule_user)},
    {"log_level", "notice", "debug, info, notice, warn, error, crit, alert or emerg", false,
     KEPT(SETTING_LOG_LEVEL, log_level, .is_for_workers = true)},
    {"ssl_cert", "",
     "the default certificate, a comma list of PEM files, PEM texts or base64 of such; none = a "
     "self-signed pair",
     false, KEPT(SETTING_LIST, ssl_cert, .count_at = AT(ssl_cert_count), .is_secret = true)},
    {"ssl_cert_key", "", "its keys, given likewise and in the same order", false,
     KEPT(SETTING_LIST, ssl_cert_key, .count_at = AT(ssl_cert_key_count), .is_secret = true)},
    {"ssl_cipher_suite", "intermediate",
     "modern, intermediate, old, fips or custom: protocols and ciphers by Mozilla's lists", false,
     KEPT(SETTING_TEXT, ssl_cipher_suite, .words = suite_words)},
    {"ssl_protocols", "TLSv1.2 TLSv1.3", "protocols, with ssl_cipher_suite = custom", false,
     KEPT(SETTING_WORDS, ssl_protocols, .count_at = AT(ssl_protocol_count), .words = protocol_words,
          .is_for_workers = true)},
    {"ssl_ciphers", "", "ciphers for TLS 1.2 in OpenSSL's syntax, with ssl_cipher_suite = custom",
     false, KEPT(SETTING_TEXT, ssl_ciphers, .is_for_workers = true)},
    {"ssl_prefer_server_ciphers", "on",
     "the server's order of ciphers counts, with ssl_cipher_suite = custom", false,
     KEPT(SETTING_SWITCH, ssl_prefer_server_ciphers, .is_for_workers = true)},
    {"lua_ssl_trusted_certificate", "system",
     "authorities that are trusted, a comma list: `system` = the system's, and one PEM file", false,
     KEPT(SETTING_TEXT, lua_ssl_trusted_certificate, .check = rule_path)},
    {"dns_resolver", "", "name servers to ask, a comma list of IP[:port]; none = resolv.conf's",
     false, KEPT(SETTING_TEXT, dns_resolver, .check = check_name_servers)},
    {"dns_hostsfile", "/etc/hosts", "the hosts file", false,
     KEPT(SETTING_TEXT, dns_hostsfile, .check = rule_path)},
    {"plugins", "bundled", "names of plugins that the file may use; `bundled` = Kong's own", false,
     KEPT(SETTING_LIST, plugins, .count_at = AT(plugin_count), .check = rule_plugin)},
    {"vault_env_prefix", "",
     "what stands in front of the names of variables that {vault://env/...} refers to", false,
     KEPT(SETTING_TEXT, vault_env_prefix)},
    {"database", "off", "only `off`: the file is the truth", false,
     &(const struct setting_type){.kind = SETTING_CHECKED, .check = check_database}},
    {"trusted_ips", "",
     "addresses and CIDR blocks of proxies before us: they say nothing about who the visitor is",
     false,
     KEPT(SETTING_LIST, trusted_ips, .count_at = AT(trusted_ip_count), .check = rule_trusted_ip,
          .is_for_workers = true)},
    {"real_ip_header", "X-Real-IP", "the header that names the client behind a trusted address",
     true, KEPT(SETTING_TEXT, real_ip_header, .check = rule_header)},
    {"real_ip_recursive", "off", "look past trusted addresses in that header", true,
     KEPT(SETTING_SWITCH, real_ip_recursive)},
    {"proxy_access_log", "off", "where requests are logged, or `off`", true,
     KEPT(SETTING_TEXT, proxy_access_log, .check = rule_path)},
    {"admin_access_log", "off", "where requests of the Admin API are logged, or `off`", true,
     KEPT(SETTING_TEXT, admin_access_log, .check = rule_path)},
    {"role", "traditional", "traditional, control_plane or data_plane", true,
     KEPT(SETTING_TEXT, role, .words = role_words)},
    {"cluster_listen", "0.0.0.0:8005", "where a control plane hears its data planes", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .check = check_listens}},
    {"cluster_control_plane", "127.0.0.1:8005", "the control plane that a data plane asks", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .check = check_endpoint}},
    {"cluster_cert", "", "certificate between the planes", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .is_secret = true}},
    {"cluster_cert_key", "", "its key", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .is_secret = true}},
    {"cluster_ca_cert", "", "authority of that certificate, with cluster_mtls = pki", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .check = rule_path}},
    {"cluster_mtls", "shared", "shared or pki", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .words = mtls_words}},
    {"cluster_server_name", "", "SNI for the control plane", true,
     &(const struct setting_type){.kind = SETTING_CHECKED}},
    {"cluster_ocsp", "off", "on, off or optional", true,
     &(const struct setting_type){.kind = SETTING_CHECKED, .words = ocsp_words}},
    {"acme_server", "",
     "directory URL of an ACME server that every order goes to, such as a staging one", false,
     KEPT(SETTING_TEXT, acme_server, .check = rule_url)},
    {"acme_trusted_certificate", "",
     "PEM file of the authorities that this server's TLS is trusted by", false,
     KEPT(SETTING_TEXT, acme_trusted_certificate, .check = rule_path)},
    {"acme_approve", "off",
     "whether first certificates, overrides and retirements wait for approval: off, on = until "
     "`apply` brings a plan that has them, or the file of such a plan beside that",
     false, KEPT(SETTING_TEXT, acme_approve, .check = rule_approve)},
    {"acme_admin_hosts", "",
     "names by which the status listener is asked, a comma list; IP addresses and localhost need "
     "none; without it any name will do where the listener is not on loopback",
     false, KEPT(SETTING_LIST, acme_admin_hosts, .count_at = AT(acme_admin_host_count))},
    {"acme_limits", "",
     "limits of CAs, over those that are known, a comma list: the beginning of the directory's "
     "URL, then any of orders=300/3h domain=50/7d set=5/7d failures=5/1h renewals=exempt "
     "ari=exempt",
     false, KEPT(SETTING_LIST, acme_limits, .count_at = AT(acme_limit_count))},
    {"acme_max_document", "512m",
     "all declarative files together; reading them takes at most 24 bytes of memory a byte and 256 "
     "MiB, and a reload that beside what is in use",
     false, KEPT(SETTING_SIZE, acme_max_document, .min = DOCUMENT_MIN, .max = DOCUMENT_MAX)},
    {"acme_parsed_cache", "16384", "parsed certificates that a worker keeps, 8 KB each", false,
     KEPT(SETTING_NUMBER, acme_parsed_cache, .min = 1, .max = PARSED_CACHE_MAX,
          .is_for_workers = true)},
    {"acme_poll_interval", "10",
     "seconds between two looks at the files that nobody told us to look at", false,
     KEPT(SETTING_NUMBER, acme_poll_interval, .min = 1, .max = POLL_INTERVAL_MAX)},
    {"acme_demand_total", "1000",
     "names at most that visitors ask for and that have no certificate yet: queued, under way or "
     "waiting; more are passed over",
     false, KEPT(SETTING_NUMBER, acme_demand_total, .max = DEMAND_MAX)},
    {"acme_demand_per_address", "20",
     "how many of them one address (IPv6: /64) may have; of addresses in trusted_ips only the "
     "other bounds hold",
     false, KEPT(SETTING_NUMBER, acme_demand_per_address, .max = DEMAND_MAX)},
    {"acme_demand_per_domain", "50", "how many may be new in an hour below one registered domain",
     false, KEPT(SETTING_NUMBER, acme_demand_per_domain, .max = DEMAND_MAX)},
    {"acme_deck_env", "off",
     "replace ${{ env \"DECK_X\" }} in the file by the variable's value, as decK does", false,
     KEPT(SETTING_SWITCH, acme_deck_env)},
    {"acme_deck_format", "off",
     "read decK's form: {name: ...} references, _info, _plugin_configs, no _format_version", false,
     KEPT(SETTING_SWITCH, acme_deck_format)},
    {"acme_ignore_unsupported", "off",
     "leave out what Kong Enterprise or a release after 3.9 knows, with a warning each", false,
     KEPT(SETTING_SWITCH, acme_ignore_unsupported)},
    {"acme_start_with_last_good", "off", "start from the last good file when the file is bad",
     false, KEPT(SETTING_SWITCH, acme_start_with_last_good)},
    {"acme_local_copy", "on", "keep a copy under prefix beside shared storage", false,
     KEPT(SETTING_SWITCH, acme_local_copy, .stated_at = AT(acme_local_copy_is_stated))},
    {"acme_user", "",
     "what control and the watcher become when started as root: user and group; none = _reconcert, "
     "or nobody where there is no such user",
     false, KEPT(SETTING_TEXT, acme_user, .check = rule_user)},
    {"acme_log_format", "auto",
     "text (key=value), json, or auto: text, and short sentences where standard error is a "
     "terminal",
     false, KEPT(SETTING_LOG_FORMAT, acme_log_format, .is_for_workers = true)},
    {0},
};

const struct settings_row *row_table(void)
{
    return rows;
}

size_t row_count(void)
{
    return ARRAY_LENGTH(rows) - 1;
}

const struct settings_row *row_find(struct str name)
{
    for (const struct settings_row *r = rows; r->name; r++)
        if (str_equal_cstr(name, r->name))
            return r;
    return NULL;
}

const struct settings_row *row_near(struct str name)
{
    const struct settings_row *best = NULL;
    size_t least = DISTANCE_MAX + 1;

    for (const struct settings_row *r = rows; r->name; r++) {
        size_t d = nearest_distance(str_from(r->name), name);
        if (d < least) {
            least = d;
            best = r;
        }
    }
    return best;
}
