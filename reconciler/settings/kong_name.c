#include "kong_name.h"

#include <string.h>

#include "reconciler/base/attr.h"

static const char no_database[] = "there is no database here";
static const char no_nginx[] = "there is no nginx here";
static const char no_lua[] = "there is no Lua here";
static const char no_gui[] = "there is no Manager here";
static const char no_cluster_yet[] = "its part comes later";
static const char no_proxy_yet[] = "its part comes later";
static const char no_admin_yet[] = "the Admin API comes later";
static const char other_dns[] = "names are resolved by the system's rules here";
static const char other_memory[] = "memory is not divided like this here";
static const char other_tls[] = "TLS sessions are kept in tickets that all workers share";
static const char other_log[] = "everything is logged to stderr here";
static const char no_reports[] = "nothing is reported to anyone here";
static const char no_tracing[] = "there is no tracing here";
static const char no_wasm[] = "there is no WebAssembly here";

static const char newer[] = "it is of a Kong after 3.9, or of Kong Enterprise";

/* A prefix ends with '*'. */
static const struct {
    const char *name, *why;
} ignored[] = {
    {"_debug_pg_ttl_cleanup_interval", no_database},
    {"admin_error_log", other_log},
    {"admin_gui_*", no_gui},
    {"admin_ssl_cert", no_admin_yet},
    {"admin_ssl_cert_key", no_admin_yet},
    {"allow_debug_header", no_proxy_yet},
    {"anonymous_reports", no_reports},
    {"cassandra_*", no_database},
    {"client_body_buffer_size", no_nginx},
    {"client_max_body_size", no_nginx},
    {"client_ssl", no_proxy_yet},
    {"client_ssl_cert", no_proxy_yet},
    {"client_ssl_cert_key", no_proxy_yet},
    {"cluster_*", no_cluster_yet},
    {"concurrency_timeout", no_lua},
    {"db_*", no_database},
    {"debug_ssl_cert", no_admin_yet},
    {"debug_ssl_cert_key", no_admin_yet},
    {"dedicated_config_processing", "control is a process of its own here"},
    {"dns_*", other_dns},
    {"error_default_type", no_proxy_yet},
    {"error_template_*", no_proxy_yet},
    {"headers", no_proxy_yet},
    {"headers_upstream", no_proxy_yet},
    {"host_ports", "port_maps says it"},
    {"keyring_*", newer},
    {"kic", "every node takes a declarative file here"},
    {"legacy_dns_client", other_dns},
    {"legacy_worker_events", no_lua},
    {"lmdb_*", no_database},
    {"lua_*", no_lua},
    {"mem_cache_size", other_memory},
    {"new_dns_client", other_dns},
    {"nginx_*", no_nginx},
    {"node_id", no_cluster_yet},
    {"openresty_path", no_nginx},
    {"opentelemetry_*", no_tracing},
    {"pg_*", no_database},
    {"pluginserver_*", no_lua},
    {"privileged_worker", "control is a process of its own here"},
    {"proxy_error_log", other_log},
    {"proxy_server", no_proxy_yet},
    {"proxy_server_ssl_verify", no_proxy_yet},
    {"proxy_stream_access_log", no_proxy_yet},
    {"proxy_stream_error_log", other_log},
    {"request_debug", no_proxy_yet},
    {"request_debug_token", no_proxy_yet},
    {"resolver_*", other_dns},
    {"route_match_calculation", newer},
    {"router_consistency", "every change is a whole new generation here"},
    {"router_flavor", "the router is traditional_compatible here"},
    {"schema_alias_conflict_mode", newer},
    {"ssl_dhparam", "TLS takes the library's groups here"},
    {"ssl_session_cache_size", other_tls},
    {"ssl_session_tickets", other_tls},
    {"ssl_session_timeout", other_tls},
    {"status_access_log", other_log},
    {"status_error_log", other_log},
    {"status_ssl_cert", "the status listener has no TLS yet"},
    {"status_ssl_cert_key", "the status listener has no TLS yet"},
    {"tls_certificate_verify", newer},
    {"tracing_*", no_tracing},
    {"untrusted_lua*", no_lua},
    {"upstream_keepalive*", no_proxy_yet},
    {"vault_*", "its part comes later"},
    {"vaults", "its part comes later"},
    {"via_header_comply_rfc", newer},
    {"wasm", no_wasm},
    {"wasm_*", no_wasm},
    {"worker_consistency", "every change is a whole new generation here"},
    {"worker_events_max_payload", no_lua},
    {"worker_state_update_frequency", "every change is a whole new generation here"},
};

static const struct {
    const char *name, *read_as;
} aliases[] = {
    {"nginx_main_user", "nginx_user"},
    {"nginx_main_worker_processes", "nginx_worker_processes"},
    {"nginx_http_ssl_protocols", "ssl_protocols"},
    {"nginx_proxy_real_ip_header", "real_ip_header"},
    {"nginx_proxy_real_ip_recursive", "real_ip_recursive"},
};

static const char *const secrets[] = {
    "declarative_config_string", "pg_password",        "pg_ro_password",
    "request_debug_token",       "cassandra_password",
};

const char *kong_name_why_ignored(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++) {
        struct str known = str_from(ignored[i].name);
        if (str_ends(known, STR("*")) ? str_starts(name, str_slice(known, 0, known.len - 1))
                                      : str_equal(name, known))
            return ignored[i].why;
    }
    return NULL;
}

struct str kong_name_resolve(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(aliases); i++)
        if (str_equal_cstr(name, aliases[i].name))
            return str_from(aliases[i].read_as);
    return name;
}

bool kong_name_is_service_link(struct str name)
{
    if (str_ends(name, STR("_service_host")) || str_ends(name, STR("_service_port")) ||
        str_ends(name, STR("_port")))
        return true;
    for (size_t i = 0; i + 6 <= name.len; i++)
        if (str_starts(str_slice(name, i, name.len), STR("_port_")))
            return true;
    return false;
}

bool kong_name_is_secret(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++)
        if (str_equal_cstr(name, secrets[i]))
            return true;
    return false;
}
