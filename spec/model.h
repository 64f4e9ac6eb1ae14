#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/str.h"
#include "reconciler/base/validity.h"

/*
 * What the file says: plain structs that spec fills and everybody reads. All memory belongs to the
 * arena that spec_load was given. Defaults are filled in, references resolved to pointers,
 * shorthands expanded. A `str` with ptr NULL is a field that is not set (JSON null).
 */

/* Where something stands: index into model.files, 1-based line and byte column. */
struct place {
    uint32_t file;
    uint32_t line;
    uint32_t column;
};

/* A string of the file and where it stands. */
struct text {
    struct str value;
    struct place place;
};

struct texts {
    const struct text *items;
    size_t count;
    bool is_set; /* false: null, or left out */
};

struct opt_int {
    int64_t value;
    bool is_set;
};

/* What every entity carries. */
struct entity {
    struct place place; /* of the record's first key */
    struct texts tags;
};

struct certificate;
struct sni;
struct upstream;
struct key_set;

struct service {
    struct entity entity;
    struct str name;
    struct text host;
    struct str protocol; /* http https tcp tls ... */
    struct str path;
    int64_t port;
    int64_t retries;
    int64_t connect_timeout_ms, write_timeout_ms, read_timeout_ms;
    const struct certificate *client_certificate;
    struct opt_int tls_verify, tls_verify_depth; /* tls_verify: 0 or 1 */
    struct texts ca_certificates;
    struct place missing_ca_certificate; /* of an id that names none; line 0 = all are there */
    bool enabled;
};

struct route_header {
    struct text name;
    struct texts values;
};

struct route_peer { /* sources, destinations */
    struct text ip; /* IP or CIDR; value NULL if only a port is given */
    struct opt_int port;
};

struct route {
    struct entity entity;
    struct str name;
    const struct service *service; /* NULL: a route of its own */
    struct texts protocols, methods, paths;
    struct texts hosts, snis; /* lower case */
    const struct route_header *headers;
    size_t header_count;
    const struct route_peer *sources, *destinations;
    size_t source_count, destination_count;
    int64_t https_redirect_status_code;
    int64_t regex_priority;
    bool strip_path, preserve_host, request_buffering, response_buffering;
    struct str path_handling; /* v0, v1 */
};

struct certificate {
    struct entity entity;
    struct text cert, key;         /* PEM; resolved if they were references */
    struct text cert_alt, key_alt; /* value NULL: not set */
    struct validity valid, valid_alt;
    /* A {vault://...} that could not be resolved: this certificate is unusable, the file is not. */
    struct str unresolved; /* the reference as written; NULL = none */
    struct place unresolved_place;
};

struct sni {
    struct entity entity;
    struct text name; /* lower case; "*.x", "x.*" or "*" too */
    const struct certificate *certificate;
};

struct key {
    struct entity entity;
    struct str name, kid;
    const struct key_set *set;
    struct text jwk;                     /* JSON text; or ... */
    struct text private_key, public_key; /* ... PEM */
    struct str unresolved;
    struct place unresolved_place;
};

struct key_set {
    struct entity entity;
    struct str name;
};

struct upstream {
    struct entity entity;
    struct str name;
    struct str algorithm;
    struct str hash_on, hash_fallback;
    struct str hash_on_header, hash_fallback_header;
    struct str hash_on_cookie, hash_on_cookie_path;
    struct str hash_on_query_arg, hash_fallback_query_arg;
    struct str hash_on_uri_capture, hash_fallback_uri_capture;
    int64_t slots;
    struct str host_header;
    const struct certificate *client_certificate;
    bool use_srv_name;
};

struct target {
    struct entity entity;
    struct text target; /* host or host:port, as written */
    int64_t weight;
    const struct upstream *upstream;
};

struct consumer {
    struct entity entity;
    struct str username, custom_id;
};

struct plugin {
    struct entity entity;
    struct text name;
    struct str instance_name;
    const struct service *service; /* all three NULL: for everything */
    const struct route *route;
    const struct consumer *consumer;
    struct texts protocols;
    bool enabled;
    bool is_checked;   /* false: the name is known, what its config may hold is not */
    struct str config; /* JSON, as written; not for acme */
};

struct ca_certificate {
    struct entity entity;
    struct text cert;
};

enum acme_storage {
    ACME_STORAGE_SHM,
    ACME_STORAGE_KONG,
    ACME_STORAGE_REDIS,
    ACME_STORAGE_CONSUL,
    ACME_STORAGE_VAULT
};

/* storage_config; hosts, ports and paths stay unset as Kong reads them back: adapters have the
 * defaults. */
struct acme_redis {
    struct text host;
    int64_t port, timeout_ms, database;
    struct str username, password, server_name, namespace;
    bool ssl, ssl_verify;
    int64_t scan_count;
};

struct acme_consul {
    struct text host;
    struct opt_int port, timeout_ms;
    struct str kv_path, token;
    bool https;
};

struct acme_vault {
    struct text host;
    struct opt_int port, timeout_ms;
    struct str kv_path, token, tls_server_name, auth_method, auth_path, auth_role, jwt_path;
    bool https, tls_verify;
};

/* The global acme plugin (facts: Kong's acme schema). */
struct acme {
    struct entity entity;
    bool enabled;
    struct text account_email;
    struct text account_key_id;    /* kid; value NULL: no account_key */
    struct text account_key_set;   /* key set name */
    const struct key *account_key; /* NULL: none named, or named but not in the file */
    struct text api_uri;
    bool tos_accepted;
    struct str eab_kid, eab_hmac_key;
    struct str cert_type; /* rsa, ecc */
    int64_t rsa_key_size;
    double renew_threshold_days;
    bool renew_threshold_is_stated;
    struct texts domains; /* lower case */
    bool allow_any_domain;
    double fail_backoff_minutes;
    bool fail_backoff_is_stated;
    enum acme_storage storage;
    struct place storage_place, tos_place; /* of the plugin where it is left out */
    struct acme_redis redis;
    struct acme_consul consul;
    struct acme_vault vault;
    struct str preferred_chain;
    bool enable_ipv4_common_name;
    struct str
        unresolved; /* a reference in a field that issuing needs, not resolvable; NULL = none */
    struct place unresolved_place;
};

struct model {
    const char *const *files; /* names as given by the user; place.file indexes it */
    size_t file_count;

    const struct service *services;
    size_t service_count;
    const struct route *routes;
    size_t route_count;
    const struct certificate *certificates;
    size_t certificate_count;
    const struct sni *snis;
    size_t sni_count;
    const struct key *keys;
    size_t key_count;
    const struct key_set *key_sets;
    size_t key_set_count;
    const struct upstream *upstreams;
    size_t upstream_count;
    const struct target *targets;
    size_t target_count;
    const struct consumer *consumers;
    size_t consumer_count;
    const struct plugin *plugins; /* acme too */
    size_t plugin_count;
    const struct ca_certificate *ca_certificates;
    size_t ca_certificate_count;
    const struct acme *acme; /* NULL: the file has no acme plugin */

    size_t entity_count; /* of all kinds */
};
