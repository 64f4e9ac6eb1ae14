#include "entity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/url.h"

#define TIMEOUT_MAX 2147483646
#define HTTP_PORT 80
#define HTTPS_PORT 443
#define PORT_EXACT_MAX 1e15

enum service_field {
    SERVICE_NAME,
    SERVICE_PROTOCOL,
    SERVICE_HOST,
    SERVICE_PORT,
    SERVICE_PATH,
    SERVICE_RETRIES,
    SERVICE_CONNECT_TIMEOUT,
    SERVICE_WRITE_TIMEOUT,
    SERVICE_READ_TIMEOUT,
    SERVICE_CLIENT_CERTIFICATE,
    SERVICE_TLS_VERIFY,
    SERVICE_TLS_VERIFY_DEPTH,
    SERVICE_CA_CERTIFICATES,
    SERVICE_ENABLED,
    SERVICE_URL
};

static const struct schema_field uuid = {
    .type = SCHEMA_STRING, .store = STORE_TEXT, .flags = SCHEMA_CHECKS_EMPTY, .check = check_uuid};

static const struct schema_field fields[] = {
    [SERVICE_NAME] = {.name = "name",
                      .about = "What routes and plugins call it by.",
                      .type = SCHEMA_STRING,
                      .flags = SCHEMA_UNIQUE,
                      .check = check_name,
                      .store = STORE_STR,
                      .offset = offsetof(struct service, name)},
    [SERVICE_PROTOCOL] = {.name = "protocol",
                          .about = "How the upstream is spoken to.",
                          .type = SCHEMA_STRING,
                          .flags = SCHEMA_REQUIRED,
                          .fallback = "\"http\"",
                          .one_of = entity_protocols,
                          .store = STORE_STR,
                          .offset = offsetof(struct service, protocol)},
    [SERVICE_HOST] = {.name = "host",
                      .about = "Name or address of the upstream server, or the name of an "
                               "upstream entity; no port.",
                      .type = SCHEMA_STRING,
                      .flags = SCHEMA_REQUIRED,
                      .check = check_host,
                      .store = STORE_TEXT,
                      .offset = offsetof(struct service, host)},
    [SERVICE_PORT] = {.name = "port",
                      .about = "Port of the upstream server.",
                      .type = SCHEMA_INTEGER,
                      .flags = SCHEMA_REQUIRED | SCHEMA_RANGE,
                      .max = 65535,
                      .fallback = "80",
                      .store = STORE_INTEGER,
                      .offset = offsetof(struct service, port)},
    [SERVICE_PATH] = {.name = "path",
                      .about = "Put in front of the path that is asked for.",
                      .type = SCHEMA_STRING,
                      .check = check_path,
                      .store = STORE_STR,
                      .offset = offsetof(struct service, path)},
    [SERVICE_RETRIES] = {.name = "retries",
                         .about = "How often another target is tried after a failure.",
                         .type = SCHEMA_INTEGER,
                         .flags = SCHEMA_RANGE,
                         .max = 32767,
                         .fallback = "5",
                         .store = STORE_INTEGER,
                         .offset = offsetof(struct service, retries)},
    [SERVICE_CONNECT_TIMEOUT] = {.name = "connect_timeout",
                                 .about = "Milliseconds for a connection to be made.",
                                 .type = SCHEMA_INTEGER,
                                 .flags = SCHEMA_RANGE,
                                 .min = 1,
                                 .max = TIMEOUT_MAX,
                                 .fallback = "60000",
                                 .store = STORE_INTEGER,
                                 .offset = offsetof(struct service, connect_timeout_ms)},
    [SERVICE_WRITE_TIMEOUT] = {.name = "write_timeout",
                               .about = "Milliseconds between two writes to the upstream.",
                               .type = SCHEMA_INTEGER,
                               .flags = SCHEMA_RANGE,
                               .min = 1,
                               .max = TIMEOUT_MAX,
                               .fallback = "60000",
                               .store = STORE_INTEGER,
                               .offset = offsetof(struct service, write_timeout_ms)},
    [SERVICE_READ_TIMEOUT] = {.name = "read_timeout",
                              .about = "Milliseconds between two reads from the upstream.",
                              .type = SCHEMA_INTEGER,
                              .flags = SCHEMA_RANGE,
                              .min = 1,
                              .max = TIMEOUT_MAX,
                              .fallback = "60000",
                              .store = STORE_INTEGER,
                              .offset = offsetof(struct service, read_timeout_ms)},
    [SERVICE_CLIENT_CERTIFICATE] = {.name = "client_certificate",
                                    .about = "Id of the certificate that is shown to the upstream.",
                                    .type = SCHEMA_FOREIGN,
                                    .refers_to = ENTITY_CERTIFICATE,
                                    .store = STORE_POINTER,
                                    .offset = offsetof(struct service, client_certificate)},
    [SERVICE_TLS_VERIFY] = {.name = "tls_verify",
                            .about = "Whether the upstream's certificate is verified.",
                            .type = SCHEMA_BOOLEAN,
                            .store = STORE_OPT_INT,
                            .offset = offsetof(struct service, tls_verify)},
    [SERVICE_TLS_VERIFY_DEPTH] = {.name = "tls_verify_depth",
                                  .about = "Longest chain that verification follows.",
                                  .type = SCHEMA_INTEGER,
                                  .flags = SCHEMA_RANGE,
                                  .max = 64,
                                  .store = STORE_OPT_INT,
                                  .offset = offsetof(struct service, tls_verify_depth)},
    [SERVICE_CA_CERTIFICATES] = {.name = "ca_certificates",
                                 .about = "Ids of the ca_certificates that verification trusts.",
                                 .type = SCHEMA_ARRAY,
                                 .element = &uuid,
                                 .store = STORE_TEXTS,
                                 .offset = offsetof(struct service, ca_certificates)},
    [SERVICE_ENABLED] = {.name = "enabled",
                         .about = "Without it, its routes are not served.",
                         .type = SCHEMA_BOOLEAN,
                         .flags = SCHEMA_REQUIRED,
                         .fallback = "true",
                         .store = STORE_BOOLEAN,
                         .offset = offsetof(struct service, enabled)},
    [SERVICE_URL] = {.name = "url",
                     .about = "Shorthand for protocol, host, port and path.",
                     .type = SCHEMA_STRING,
                     .flags = SCHEMA_SHORTHAND},
};

static const char *const without_path[] = {"tcp", "tls", "udp", "grpc", "grpcs", NULL};
static const char *const with_tls[] = {"https", "tls", NULL};

static const struct schema_rule rules[] = {
    {.kind = RULE_IF,
     .field = SERVICE_PROTOCOL,
     .when = without_path,
     .then_field = SERVICE_PATH,
     .then = THEN_NULL},
    {.kind = RULE_IF,
     .field = SERVICE_PROTOCOL,
     .when = with_tls,
     .unless = true,
     .then_field = SERVICE_CLIENT_CERTIFICATE,
     .then = THEN_NULL},
    {.kind = RULE_IF,
     .field = SERVICE_PROTOCOL,
     .when = with_tls,
     .unless = true,
     .then_field = SERVICE_TLS_VERIFY,
     .then = THEN_NULL},
    {.kind = RULE_IF,
     .field = SERVICE_PROTOCOL,
     .when = with_tls,
     .unless = true,
     .then_field = SERVICE_TLS_VERIFY_DEPTH,
     .then = THEN_NULL},
    {.kind = RULE_IF,
     .field = SERVICE_PROTOCOL,
     .when = with_tls,
     .unless = true,
     .then_field = SERVICE_CA_CERTIFICATES,
     .then = THEN_NULL},
};

static struct document_node string_node(const struct document_node *at, struct str s)
{
    struct document_node node = *at;

    node.kind = s.ptr ? DOCUMENT_STRING : DOCUMENT_NULL;
    node.as.text = s.ptr;
    node.count = (uint32_t)s.len;
    return node;
}

/* As Lua reads numbers: blanks around, hex and exponents too. */
static bool read_port(struct str text, double *number)
{
    char copy[64], *end;
    struct str trimmed = str_trim(text);

    if (!trimmed.len || trimmed.len >= sizeof(copy))
        return false;
    memcpy(copy, trimmed.ptr, trimmed.len);
    copy[trimmed.len] = '\0';
    if (copy[strspn(copy, "0123456789abcdefABCDEFxX.+-")])
        return false;
    *number = strtod(copy, &end);
    return !*end && end != copy;
}

static struct document_node port_node(const struct document_node *at, struct str port,
                                      struct str protocol)
{
    struct document_node node = string_node(at, port);

    node.kind = DOCUMENT_FLOAT;
    if (!port.ptr)
        node.as.number = str_equal(protocol, STR("https")) ? HTTPS_PORT : HTTP_PORT;
    else if (!read_port(port, &node.as.number))
        return string_node(at, port); /* refused as what it is: not an integer */
    if (node.as.number == floor(node.as.number) && fabs(node.as.number) < PORT_EXACT_MAX) {
        node.kind = DOCUMENT_INTEGER;
        node.as.integer = (int64_t)node.as.number;
    }
    return node;
}

static struct str protocol_of(const struct url *url)
{
    double port;

    if (url->scheme.ptr)
        return url->scheme;
    if (url->port.ptr && read_port(url->port, &port) && (int64_t)port == HTTPS_PORT)
        return STR("https");
    return STR("http");
}

static void expand(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    const struct document_node *n = v->slots[SERVICE_URL];
    struct url url;

    if (n && n->kind == DOCUMENT_NULL)
        fault_add_field(c, v, at, SERVICE_URL,
                        "required field missing: leave url out, or write one");
    if (!n || n->kind != DOCUMENT_STRING || !url_parse(document_text(n), &url))
        return;
    /* All four stand where the url stands. */
    v->room[0] = string_node(n, protocol_of(&url));
    v->room[1] = string_node(n, url.host);
    v->room[2] = port_node(n, url.port, protocol_of(&url));
    v->room[3] = string_node(n, url.path);
    schema_put(v, SERVICE_PROTOCOL, &v->room[0]);
    schema_put(v, SERVICE_HOST, &v->room[1]);
    schema_put(v, SERVICE_PORT, &v->room[2]);
    schema_put(v, SERVICE_PATH, &v->room[3]);
}

const struct schema_record entity_service = {
    .name = "services",
    .about = "An upstream server and how to speak to it.",
    .number = ENTITY_SERVICE,
    .fields = fields,
    .count = ARRAY_LENGTH(fields),
    .is_entity = true,
    .rules = rules,
    .rule_count = ARRAY_LENGTH(rules),
    .expand = expand,
};
