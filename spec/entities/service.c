#include "entity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/kong_url.h"

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
    [SERVICE_NAME] = {"name", SCHEMA_STRING, "What routes and plugins call it by.",
                      .flags = SCHEMA_UNIQUE, .check = check_name,
                      SCHEMA_KEPT(STORE_STR, struct service, name)},
    [SERVICE_PROTOCOL] = {"protocol", SCHEMA_STRING, "How the upstream is spoken to.",
                          .flags = SCHEMA_REQUIRED, .fallback = "\"http\"",
                          .one_of = entity_protocols,
                          SCHEMA_KEPT(STORE_STR, struct service, protocol)},
    [SERVICE_HOST] = {"host", SCHEMA_STRING,
                      "Name or address of the upstream server, or the name of an "
                      "upstream entity; no port.",
                      .flags = SCHEMA_REQUIRED, .check = check_host,
                      SCHEMA_KEPT(STORE_TEXT, struct service, host)},
    [SERVICE_PORT] = {"port", SCHEMA_INTEGER, "Port of the upstream server.",
                      .flags = SCHEMA_REQUIRED | SCHEMA_RANGE, .max = 65535, .fallback = "80",
                      SCHEMA_KEPT(STORE_INTEGER, struct service, port)},
    [SERVICE_PATH] = {"path", SCHEMA_STRING, "Put in front of the path that is asked for.",
                      .check = check_path, SCHEMA_KEPT(STORE_STR, struct service, path)},
    [SERVICE_RETRIES] = {"retries", SCHEMA_INTEGER,
                         "How often another target is tried after a failure.",
                         .flags = SCHEMA_RANGE, .max = 32767, .fallback = "5",
                         SCHEMA_KEPT(STORE_INTEGER, struct service, retries)},
    [SERVICE_CONNECT_TIMEOUT] = {"connect_timeout", SCHEMA_INTEGER,
                                 "Milliseconds for a connection to be made.", .flags = SCHEMA_RANGE,
                                 .min = 1, .max = TIMEOUT_MAX, .fallback = "60000",
                                 SCHEMA_KEPT(STORE_INTEGER, struct service, connect_timeout_ms)},
    [SERVICE_WRITE_TIMEOUT] = {"write_timeout", SCHEMA_INTEGER,
                               "Milliseconds between two writes to the upstream.",
                               .flags = SCHEMA_RANGE, .min = 1, .max = TIMEOUT_MAX,
                               .fallback = "60000",
                               SCHEMA_KEPT(STORE_INTEGER, struct service, write_timeout_ms)},
    [SERVICE_READ_TIMEOUT] = {"read_timeout", SCHEMA_INTEGER,
                              "Milliseconds between two reads from the upstream.",
                              .flags = SCHEMA_RANGE, .min = 1, .max = TIMEOUT_MAX,
                              .fallback = "60000",
                              SCHEMA_KEPT(STORE_INTEGER, struct service, read_timeout_ms)},
    [SERVICE_CLIENT_CERTIFICATE] = {"client_certificate", SCHEMA_FOREIGN,
                                    "Id of the certificate that is shown to the upstream.",
                                    .refers_to = ENTITY_CERTIFICATE,
                                    SCHEMA_KEPT(STORE_POINTER, struct service, client_certificate)},
    [SERVICE_TLS_VERIFY] = {"tls_verify", SCHEMA_BOOLEAN,
                            "Whether the upstream's certificate is verified.",
                            SCHEMA_KEPT(STORE_OPT_INT, struct service, tls_verify)},
    [SERVICE_TLS_VERIFY_DEPTH] = {"tls_verify_depth", SCHEMA_INTEGER,
                                  "Longest chain that verification follows.", .flags = SCHEMA_RANGE,
                                  .max = 64,
                                  SCHEMA_KEPT(STORE_OPT_INT, struct service, tls_verify_depth)},
    [SERVICE_CA_CERTIFICATES] = {"ca_certificates", SCHEMA_ARRAY,
                                 "Ids of the ca_certificates that verification trusts.",
                                 .element = &uuid,
                                 SCHEMA_KEPT(STORE_TEXTS, struct service, ca_certificates)},
    [SERVICE_ENABLED] = {"enabled", SCHEMA_BOOLEAN, "Without it, its routes are not served.",
                         .flags = SCHEMA_REQUIRED, .fallback = "true",
                         SCHEMA_KEPT(STORE_BOOLEAN, struct service, enabled)},
    [SERVICE_URL] = {"url", SCHEMA_STRING, "Shorthand for protocol, host, port and path.",
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

static struct str protocol_of(const struct kong_url *url)
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
    struct kong_url url;

    if (n && n->kind == DOCUMENT_NULL)
        fault_add_field(c, v, at, SERVICE_URL,
                        "required field missing: leave url out, or write one");
    if (!n || n->kind != DOCUMENT_STRING || !kong_url_parse(document_text(n), &url))
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

const struct schema_record entity_service = {"services",
                                             ENTITY_SERVICE,
                                             "An upstream server and how to speak to it.",
                                             SCHEMA_FIELDS(fields),
                                             SCHEMA_RULES(rules),
                                             .is_entity = true,
                                             .expand = expand};
