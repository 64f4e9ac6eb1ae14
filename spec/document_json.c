#include "document_json.h"

#include "reconciler/base/json_out.h"

static void print_string(struct buf *out, struct str s)
{
    struct json_out j = json_out_compact(out);

    json_out_str(&j, s.ptr ? s : STR(""));
}

static void print_items(struct buf *out, const struct document_node *n, const struct names *names)
{
    bool is_map = n->kind == DOCUMENT_MAP;

    buf_char(out, is_map ? '{' : '[');
    for (uint32_t i = 0; i < n->count; i++) {
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
        json_out_double(&j, n->as.number);
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
