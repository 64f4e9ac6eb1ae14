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
    {"interval", SCHEMA_NUMBER, "Seconds between probes of healthy targets; 0 probes none.",
     .flags = SCHEMA_RANGE, .max = SECONDS_MAX, .fallback = "0"},
    {"http_statuses", SCHEMA_ARRAY, "Statuses that count as success.", .element = &status,
     .fallback = "[200,302]"},
    {"successes", SCHEMA_INTEGER, "Successes that make a target healthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
};

static const struct schema_field active_unhealthy[] = {
    {"interval", SCHEMA_NUMBER, "Seconds between probes of unhealthy targets; 0 probes none.",
     .flags = SCHEMA_RANGE, .max = SECONDS_MAX, .fallback = "0"},
    {"http_statuses", SCHEMA_ARRAY, "Statuses that count as failure.", .element = &status,
     .fallback = "[429,404,500,501,502,503,504,505]"},
    {"tcp_failures", SCHEMA_INTEGER, "Failed connections that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
    {"timeouts", SCHEMA_INTEGER, "Timeouts that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
    {"http_failures", SCHEMA_INTEGER, "Failed responses that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
};

static const struct schema_field active[] = {
    {"type", SCHEMA_STRING, "How targets are probed.", .one_of = types, .fallback = "\"http\""},
    {"timeout", SCHEMA_NUMBER, "Seconds that a probe may take.", .flags = SCHEMA_RANGE,
     .max = SECONDS_MAX, .fallback = "1"},
    {"concurrency", SCHEMA_INTEGER, "Probes at one time.", .flags = SCHEMA_RANGE, .min = 1,
     .max = CONCURRENCY_MAX, .fallback = "10"},
    {"http_path", SCHEMA_STRING, "The path that probes ask for.", .check = check_path,
     .fallback = "\"/\""},
    {"https_sni", SCHEMA_STRING, "The server name that https probes send.",
     .check = check_server_name},
    {"https_verify_certificate", SCHEMA_BOOLEAN, "Whether https probes verify the certificate.",
     .flags = SCHEMA_REQUIRED, .fallback = "true"},
    {"headers", SCHEMA_MAP, "Headers that probes send.", .key = &header_name,
     .element = &header_values},
    {"healthy", SCHEMA_RECORD, "When an unhealthy target becomes healthy.",
     .flags = SCHEMA_REQUIRED, .record = &entity_health_active_healthy},
    {"unhealthy", SCHEMA_RECORD, "When a healthy target becomes unhealthy.",
     .flags = SCHEMA_REQUIRED, .record = &entity_health_active_unhealthy},
};

static const struct schema_field passive_healthy[] = {
    {"http_statuses", SCHEMA_ARRAY, "Statuses of proxied responses that count as success.",
     .element = &status,
     .fallback = "[200,201,202,203,204,205,206,207,208,226,"
                 "300,301,302,303,304,305,306,307,308]"},
    {"successes", SCHEMA_INTEGER, "Successes that make a target healthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
};

static const struct schema_field passive_unhealthy[] = {
    {"http_statuses", SCHEMA_ARRAY, "Statuses of proxied responses that count as failure.",
     .element = &status, .fallback = "[429,500,503]"},
    {"tcp_failures", SCHEMA_INTEGER, "Failed connections that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
    {"timeouts", SCHEMA_INTEGER, "Timeouts that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
    {"http_failures", SCHEMA_INTEGER, "Failed responses that make a target unhealthy; 0 is never.",
     .flags = SCHEMA_RANGE, .max = COUNT_MAX, .fallback = "0"},
};

static const struct schema_field passive[] = {
    {"type", SCHEMA_STRING, "What is looked at.", .one_of = types, .fallback = "\"http\""},
    {"healthy", SCHEMA_RECORD, "When an unhealthy target becomes healthy.",
     .flags = SCHEMA_REQUIRED, .record = &entity_health_passive_healthy},
    {"unhealthy", SCHEMA_RECORD, "When a healthy target becomes unhealthy.",
     .flags = SCHEMA_REQUIRED, .record = &entity_health_passive_unhealthy},
};

static const struct schema_field fields[] = {
    {"threshold", SCHEMA_NUMBER,
     "Share of the weight, in percent, below which the upstream is unhealthy.",
     .flags = SCHEMA_RANGE, .max = 100, .fallback = "0"},
    {"active", SCHEMA_RECORD, "Probes that are sent for it.", .flags = SCHEMA_REQUIRED,
     .record = &entity_health_active},
    {"passive", SCHEMA_RECORD, "What is learnt from proxied requests.", .flags = SCHEMA_REQUIRED,
     .record = &entity_health_passive},
};

const struct schema_record entity_healthchecks = {"upstreams.healthchecks", PART_HEALTHCHECKS,
                                                  SCHEMA_FIELDS(fields)};
const struct schema_record entity_health_active = {"upstreams.healthchecks.active",
                                                   PART_HEALTH_ACTIVE, SCHEMA_FIELDS(active)};
const struct schema_record entity_health_active_healthy = {"upstreams.healthchecks.active.healthy",
                                                           PART_HEALTH_ACTIVE_HEALTHY,
                                                           SCHEMA_FIELDS(active_healthy)};
const struct schema_record entity_health_active_unhealthy = {
    "upstreams.healthchecks.active.unhealthy", PART_HEALTH_ACTIVE_UNHEALTHY,
    SCHEMA_FIELDS(active_unhealthy)};
const struct schema_record entity_health_passive = {"upstreams.healthchecks.passive",
                                                    PART_HEALTH_PASSIVE, SCHEMA_FIELDS(passive)};
const struct schema_record entity_health_passive_healthy = {
    "upstreams.healthchecks.passive.healthy", PART_HEALTH_PASSIVE_HEALTHY,
    SCHEMA_FIELDS(passive_healthy)};
const struct schema_record entity_health_passive_unhealthy = {
    "upstreams.healthchecks.passive.unhealthy", PART_HEALTH_PASSIVE_UNHEALTHY,
    SCHEMA_FIELDS(passive_unhealthy)};
