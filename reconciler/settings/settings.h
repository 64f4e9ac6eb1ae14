#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/base/log.h"

/*
 * kong.conf's settings and ours (design 6), in layers: defaults, the file (-c), KONG_* variables
 * and
 * --set. A later one wins; FILE arguments win over all. One table of rows in settings.c knows each
 * name, type, default, check, help text and whether its part comes later.
 */

#define SETTINGS_LISTEN_MAX 64
#define SETTINGS_WORKERS_MAX 256
#define SETTINGS_VALUE_MAX ((size_t)64 << 10)         /* bytes of one value, but for: */
#define SETTINGS_CONFIG_STRING_MAX ((size_t)64 << 20) /* declarative_config_string */
#define SETTINGS_ITEMS_MAX 4096                       /* entries of one list */
#define SETTINGS_NOTES_MAX 1000

/* One address of a *_listen list, with Kong's flags. */
struct settings_listen {
    char address[64]; /* numeric, or a name for the supervisor to bind; IPv6 without brackets */
    uint16_t port;    /* 0 = one that the kernel picks */
    bool ssl, http2, proxy_protocol, deferred, bind, reuseport, ipv6only_set, ipv6only;
    bool udp; /* stream_listen only */
    bool so_keepalive_set, so_keepalive;
    int so_keepalive_idle_s, so_keepalive_interval_s, so_keepalive_count; /* 0 = the system's */
    int backlog;                                                          /* 0 = default */
    bool is_default; /* from our default: an IPv6 one is skipped where there is no IPv6 */
};

struct settings_listens {
    struct settings_listen items[SETTINGS_LISTEN_MAX];
    size_t count;
};

/* port_maps: "80:8000" = the world's port 80 comes in at our port 8000. */
struct settings_port_map {
    uint16_t outside, inside;
};

struct settings {
    char **declarative_config; /* paths, "-" = stdin; NULL-terminated */
    size_t declarative_config_count;
    char *declarative_config_string; /* NULL = not set */
    struct settings_listens proxy_listen, status_listen, admin_listen, stream_listen;
    struct settings_port_map *port_maps;
    size_t port_map_count;
    char *prefix;
    char **plugins;
    size_t plugin_count;
    char **ssl_cert, **ssl_cert_key; /* paths, pairwise; count 0 = make a self-signed pair */
    size_t ssl_cert_count, ssl_cert_key_count; /* equal */
    char **ssl_protocols; /* TLSv1.2 TLSv1.3; ssl_cipher_suite decides unless it is "custom" */
    size_t ssl_protocol_count;
    char *ssl_cipher_suite; /* modern intermediate old fips custom */
    char *ssl_ciphers; /* for TLS 1.2, OpenSSL's syntax, as the suite says; NULL = the library's */
    bool ssl_prefer_server_ciphers;
    char *lua_ssl_trusted_certificate; /* "system" or a path list */
    unsigned nginx_worker_processes;   /* "auto" is resolved to the number of CPUs */
    char *nginx_user;                  /* "nobody nogroup" */
    char *acme_user;                   /* NULL = privilege_find_own's */
    enum log_level log_level;
    char *dns_resolver, *dns_hostsfile;
    char *vault_env_prefix;         /* of the variables that {vault://env/...} names; NULL = none */
    char *acme_server;              /* --acme-server; NULL = the file decides */
    char *acme_trusted_certificate; /* PEM file; NULL = system */
    uint64_t acme_max_document;     /* bytes */
    unsigned acme_parsed_cache;     /* slots a worker */
    unsigned acme_poll_interval;    /* seconds */
    /* Names that visitors ask for and that wait: all, of an address, of a domain an hour. */
    unsigned acme_demand_total, acme_demand_per_address, acme_demand_per_domain;
    bool acme_deck_env;           /* --deck-env */
    bool acme_deck_format;        /* --deck-format */
    bool acme_ignore_unsupported; /* --ignore-unsupported */
    char *acme_approve;           /* "off", "on", or the path of a plan: run --approve */
    char **acme_admin_hosts;      /* what the Host of a request to the status listener may be */
    size_t acme_admin_host_count;
    char **acme_limits; /* "https://ca.example/ orders=300/3h ..."; checked by core/budget.h */
    size_t acme_limit_count;
    bool acme_start_with_last_good;
    bool acme_local_copy;
    bool acme_local_copy_is_stated;
    enum log_format acme_log_format;
    char *role;         /* this and the rest: checked, their part comes later */
    char **trusted_ips; /* addresses, CIDR blocks, "unix:" */
    size_t trusted_ip_count;
    char *real_ip_header;
    bool real_ip_recursive;
    char *proxy_access_log, *admin_access_log; /* path or "off" */
    char **notes; /* settings that are ignored or come later, one sentence each, each once */
    size_t note_count;
};

/* Where values come from. Any pointer may be NULL. */
struct settings_input {
    const char *file;               /* -c */
    char *const *environment;       /* environ-style: only KONG_* and what defaults need are read */
    const char *const *assignments; /* --set key=value, NULL-terminated */
    const char *const *files;       /* FILE arguments, NULL-terminated */
    bool is_root;
};

/*
 * Reads and checks everything. 0; or -1 with *e: kind ERROR_USAGE, file and line where it came from
 * a file, path = the setting's name. `s` is zeroed first; settings_fini it either way.
 */
int settings_read(struct settings *s, const struct settings_input *input,
                  struct error *e) MUST_CHECK;
void settings_fini(struct settings *s);

/* The file below the prefix where apply leaves the plan that it carries out. */
#define SETTINGS_APPROVED "approved.json"

/* Does anything wait until it is approved (acme_approve)? */
bool settings_approve(const struct settings *s);
/* The file that it names; NULL: none. */
const char *settings_approve_file(const struct settings *s);
/* Where apply leaves plans; the caller's to free, NULL when memory is out. */
char *settings_approved_path(const struct settings *s);

struct setting_type;

/* For help and the man page: rows until NULL name. */
struct settings_row {
    const char *name;
    const char *value; /* its default as text; "" = none */
    const char *help;  /* one line */
    bool comes_later;
    const struct setting_type *type; /* settings/setting.h: how it is read and kept */
};
const struct settings_row *settings_rows(void);

enum settings_reader {
    SETTINGS_FOR_CONTROL,
    SETTINGS_FOR_WORKER, /* only what a worker uses (setting.h): no path, URL, document or key */
};

/*
 * Serialises for an exec'd child, which gets no environment; settings_unpack reads it back, from
 * the descriptor's start and without moving its offset, as children share it. Names that the reader
 * does not know are skipped and missing ones get their default, so another build can read it. Notes
 * stay behind. settings_fini after settings_unpack either way.
 */
int settings_pack(const struct settings *s, enum settings_reader reader, int fd,
                  struct error *e) MUST_CHECK;
int settings_unpack(struct settings *s, int fd, struct error *e) MUST_CHECK;
