#include "entity.h"

#include "spec/check.h"

#define SECONDS_MAX 65535
#define COUNT_MAX 255
#define CONCURRENCY_MAX 2147483648

static const char *const types[] = {"tcp", "http", "https", "grpc", "grpcs", NULL};

static const struct schema_field status = {
    .type = SCHEMA_INTEGER, .flags = SCHEMA_RANGE, .min = 100, .max = 999};
static const struct schema_field header_name = {
    .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .check = check_header_name};
static const struct schema_field header_value = {.type = SCHEMA_STRING};
static const struct schema_field header_values = {
    .type = SCHEMA_ARRAY, .flags = SCHEMA_REQUIRED, .element = &header_value};

static const struct schema_field active_healthy[] = {
    {.name = "interval",
     .about = "Seconds between probes of healthy targets; 0 probes none.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_RANGE,
     .max = SECONDS_MAX,
     .fallback = "0"},
    {.name = "http_statuses",
     .about = "Statuses that count as success.",
     .type = SCHEMA_ARRAY,
     .element = &status,
     .fallback = "[200,302]"},
    {.name = "successes",
     .about = "Successes that make a target healthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
};

static const struct schema_field active_unhealthy[] = {
    {.name = "interval",
     .about = "Seconds between probes of unhealthy targets; 0 probes none.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_RANGE,
     .max = SECONDS_MAX,
     .fallback = "0"},
    {.name = "http_statuses",
     .about = "Statuses that count as failure.",
     .type = SCHEMA_ARRAY,
     .element = &status,
     .fallback = "[429,404,500,501,502,503,504,505]"},
    {.name = "tcp_failures",
     .about = "Failed connections that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
    {.name = "timeouts",
     .about = "Timeouts that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
    {.name = "http_failures",
     .about = "Failed responses that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
};

static const struct schema_field active[] = {
    {.name = "type",
     .about = "How targets are probed.",
     .type = SCHEMA_STRING,
     .one_of = types,
     .fallback = "\"http\""},
    {.name = "timeout",
     .about = "Seconds that a probe may take.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_RANGE,
     .max = SECONDS_MAX,
     .fallback = "1"},
    {.name = "concurrency",
     .about = "Probes at one time.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .min = 1,
     .max = CONCURRENCY_MAX,
     .fallback = "10"},
    {.name = "http_path",
     .about = "The path that probes ask for.",
     .type = SCHEMA_STRING,
     .check = check_path,
     .fallback = "\"/\""},
    {.name = "https_sni",
     .about = "The server name that https probes send.",
     .type = SCHEMA_STRING,
     .check = check_server_name},
    {.name = "https_verify_certificate",
     .about = "Whether https probes verify the certificate.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "true"},
    {.name = "headers",
     .about = "Headers that probes send.",
     .type = SCHEMA_MAP,
     .key = &header_name,
     .element = &header_values},
    {.name = "healthy",
     .about = "When an unhealthy target becomes healthy.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_active_healthy},
    {.name = "unhealthy",
     .about = "When a healthy target becomes unhealthy.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_active_unhealthy},
};

static const struct schema_field passive_healthy[] = {
    {.name = "http_statuses",
     .about = "Statuses of proxied responses that count as success.",
     .type = SCHEMA_ARRAY,
     .element = &status,
     .fallback = "[200,201,202,203,204,205,206,207,208,226,"
                 "300,301,302,303,304,305,306,307,308]"},
    {.name = "successes",
     .about = "Successes that make a target healthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
};

static const struct schema_field passive_unhealthy[] = {
    {.name = "http_statuses",
     .about = "Statuses of proxied responses that count as failure.",
     .type = SCHEMA_ARRAY,
     .element = &status,
     .fallback = "[429,500,503]"},
    {.name = "tcp_failures",
     .about = "Failed connections that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
    {.name = "timeouts",
     .about = "Timeouts that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
    {.name = "http_failures",
     .about = "Failed responses that make a target unhealthy; 0 is never.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_RANGE,
     .max = COUNT_MAX,
     .fallback = "0"},
};

static const struct schema_field passive[] = {
    {.name = "type",
     .about = "What is looked at.",
     .type = SCHEMA_STRING,
     .one_of = types,
     .fallback = "\"http\""},
    {.name = "healthy",
     .about = "When an unhealthy target becomes healthy.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_passive_healthy},
    {.name = "unhealthy",
     .about = "When a healthy target becomes unhealthy.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_passive_unhealthy},
};

static const struct schema_field fields[] = {
    {.name = "threshold",
     .about = "Share of the weight, in percent, below which the upstream is unhealthy.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_RANGE,
     .max = 100,
     .fallback = "0"},
    {.name = "active",
     .about = "Probes that are sent for it.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_active},
    {.name = "passive",
     .about = "What is learnt from proxied requests.",
     .type = SCHEMA_RECORD,
     .flags = SCHEMA_REQUIRED,
     .record = &entity_health_passive},
};

const struct schema_record entity_healthchecks = {.name = "upstreams.healthchecks",
                                                  .number = PART_HEALTHCHECKS,
                                                  .fields = fields,
                                                  .count = ARRAY_LENGTH(fields)};
const struct schema_record entity_health_active = {.name = "upstreams.healthchecks.active",
                                                   .number = PART_HEALTH_ACTIVE,
                                                   .fields = active,
                                                   .count = ARRAY_LENGTH(active)};
const struct schema_record entity_health_active_healthy = {
    .name = "upstreams.healthchecks.active.healthy",
    .number = PART_HEALTH_ACTIVE_HEALTHY,
    .fields = active_healthy,
    .count = ARRAY_LENGTH(active_healthy)};
const struct schema_record entity_health_active_unhealthy = {
    .name = "upstreams.healthchecks.active.unhealthy",
    .number = PART_HEALTH_ACTIVE_UNHEALTHY,
    .fields = active_unhealthy,
    .count = ARRAY_LENGTH(active_unhealthy)};
const struct schema_record entity_health_passive = {.name = "upstreams.healthchecks.passive",
                                                    .number = PART_HEALTH_PASSIVE,
                                                    .fields = passive,
                                                    .count = ARRAY_LENGTH(passive)};
const struct schema_record entity_health_passive_healthy = {
    .name = "upstreams.healthchecks.passive.healthy",
    .number = PART_HEALTH_PASSIVE_HEALTHY,
    .fields = passive_healthy,
    .count = ARRAY_LENGTH(passive_healthy)};
const struct schema_record entity_health_passive_unhealthy = {
    .name = "upstreams.healthchecks.passive.unhealthy",
    .number = PART_HEALTH_PASSIVE_UNHEALTHY,
    .fields = passive_unhealthy,
    .count = ARRAY_LENGTH(passive_unhealthy)};
