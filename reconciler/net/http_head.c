#include "http_head.h"

struct str http_head_field(const struct http_head *head, const char *name)
{
    struct str wanted = str_from(name), found = STR_NONE;

    for (size_t i = 0; i < head->field_count; i++) {
        if (!str_equal_nocase(head->fields[i].name, wanted))
            continue;
        if (found.ptr)
            return STR_NONE;
        found = head->fields[i].value;
    }
    return found;
}
