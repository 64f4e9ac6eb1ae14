#include "document_json.h"

#include <math.h>

#include "reconciler/base/json_out.h"

/* Beyond it, not every integer is a double. */
#define EXACT_MAX 9007199254740992.0

static void print_string(struct buf *out, struct str s)
{
    struct json_out j = json_out_compact(out);

    json_out_str(&j, s.ptr ? s : STR(""));
}

/* 80.0 is the integer 80, as in Lua. */
static void print_number(struct json_out *j, double number)
{
    if (floor(number) == number && fabs(number) < EXACT_MAX)
        json_out_int(j, (int64_t)number);
    else
        json_out_double(j, number);
}

static void print_items(struct buf *out, const struct document_node *n, const struct names *names)
{
    bool is_map = n->kind == DOCUMENT_MAP;

    buf_char(out, is_map ? '{' : '[');
    for (uint32_t i = 0; i < n->count && !out->failed; i++) {
        if (i)
            buf_char(out, ',');
        if (is_map) {
            print_string(out, names_text(names, document_keys(n)[i].name));
            buf_char(out, ':');
        }
        document_json_print(out, &n->as.items[i], names);
    }
    buf_char(out, is_map ? '}' : ']');
}

void document_json_print(struct buf *out, const struct document_node *n, const struct names *names)
{
    struct json_out j = json_out_compact(out);

    switch (n->kind) {
    case DOCUMENT_BOOLEAN:
        json_out_bool(&j, n->as.boolean);
        break;
    case DOCUMENT_INTEGER:
        json_out_int(&j, n->as.integer);
        break;
    case DOCUMENT_FLOAT:
        print_number(&j, n->as.number);
        break;
    case DOCUMENT_STRING:
        print_string(out, document_text(n));
        break;
    case DOCUMENT_SEQUENCE:
    case DOCUMENT_MAP:
        print_items(out, n, names);
        break;
    default:
        json_out_null(&j);
    }
}
