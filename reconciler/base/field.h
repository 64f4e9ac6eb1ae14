#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

/* One key=value of what happened. Text may be from outside: whoever prints it escapes it. */
struct field {
    const char *key;
    enum { FIELD_TEXT, FIELD_NUMBER, FIELD_BOOL } kind;
    struct str text;
    int64_t number; /* of a boolean: 0 or 1 */
};

#define FIELD_END ((struct field){0})
/* A compound literal of fields, ended: FIELDS(field_int("n", 1)). */
#define FIELDS(...) ((const struct field[]){__VA_ARGS__, FIELD_END})

struct field field_str(const char *key, struct str value);
struct field field_cstr(const char *key, const char *value);
struct field field_int(const char *key, int64_t value);
struct field field_bool(const char *key, bool value);
