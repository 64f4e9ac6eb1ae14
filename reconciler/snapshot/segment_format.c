#include "segment_format.h"

const struct segment_format_kind segment_format_kinds[SEGMENT_KINDS] = {
    [SEGMENT_NAMES] = {.is_stacked = true, .has_secrets = true},
    [SEGMENT_CHALLENGES] = {0},
    [SEGMENT_GATE] = {0},
    [SEGMENT_ROUTES] = {0},
    [SEGMENT_UPSTREAMS] = {0},
    [SEGMENT_PLUGINS] = {.has_secrets = true},
    [SEGMENT_CONSUMERS] = {.has_secrets = true},
};

const struct segment_format_section segment_format_sections[SECTIONS] = {
    [SECTION_NAMES] = {.kind = SEGMENT_NAMES, .is_table = true},
    [SECTION_BYTES] = {.kind = SEGMENT_NAMES},
    [SECTION_KEYS] = {.kind = SEGMENT_NAMES, .is_secret = true},
    [SECTION_HTTP_01] = {.kind = SEGMENT_CHALLENGES, .is_table = true},
    [SECTION_TLS_ALPN_01] = {.kind = SEGMENT_CHALLENGES, .is_table = true, .is_optional = true},
    [SECTION_DOMAINS] = {.kind = SEGMENT_GATE, .is_table = true},
    [SECTION_HOSTS] = {.kind = SEGMENT_ROUTES, .is_table = true},
    [SECTION_PATHS] = {.kind = SEGMENT_ROUTES, .is_table = true},
};
