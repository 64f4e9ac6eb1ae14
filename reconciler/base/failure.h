#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

/* A failed order of a name, or several in a row. Zeroed: none. */
struct failure {
    unsigned count; /* in a row, since the last success */
    int64_t failed_at;
    int64_t retry_at; /* stated by the CA (Retry-After); 0 = none */
    enum error_kind kind;
    bool permanent;
    bool waived;       /* somebody wants it tried again at once; the try has not ended yet */
    struct str text;   /* the CA's own words */
    struct str config; /* hash of the configuration that it was ordered under; "" = not known */
};
