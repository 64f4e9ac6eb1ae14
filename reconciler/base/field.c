#include "field.h"

struct field field_str(const char *key, struct str value)
{
    return (struct field){.key = key, .text = value};
}

struct field field_cstr(const char *key, const char *value)
{
    return field_str(key, str_from(value));
}

struct field field_int(const char *key, int64_t value)
{
    return (struct field){.key = key, .kind = FIELD_NUMBER, .number = value};
}

struct field field_bool(const char *key, bool value)
{
    return (struct field){.key = key,
                          .kind = FIELD_BOOL,
                          .text = value ? STR("true") : STR("false"),
                          .number = value};
}
