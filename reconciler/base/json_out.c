#include "json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "utf8.h"

struct json_out json_out_compact(struct buf *out)
{
    return (struct json_out){.out = out};
}

struct json_out json_out_pretty(struct buf *out)
{
    return (struct json_out){.out = out, .pretty = true};
}

static void newline(struct json_out *j)
{
    if (!j->pretty)
        return;
    buf_char(j->out, '\n');
    for (int i = 0; i < j->depth; i++)
        buf_cstr(j->out, "  ");
}

static void before_value(struct json_out *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (!j->depth)
        return;
    if (j->has_items[j->depth - 1])
        buf_char(j->out, ',');
    j->has_items[j->depth - 1] = true;
    newline(j);
}

static void open_level(struct json_out *j, bool is_array)
{
    before_value(j);
    if (j->depth == JSON_OUT_DEPTH_MAX)
        BUG("JSON deeper than JSON_OUT_DEPTH_MAX");
    buf_char(j->out, is_array ? '[' : '{');
    j->has_items[j->depth] = false;
    j->is_array[j->depth++] = is_array;
}

void json_out_object(struct json_out *j)
{
    open_level(j, false);
}

void json_out_array(struct json_out *j)
{
    open_level(j, true);
}

void json_out_end(struct json_out *j)
{
    bool had_items = j->has_items[--j->depth];

    if (had_items)
        newline(j);
    buf_char(j->out, j->is_array[j->depth] ? ']' : '}');
}

static void print_escape(struct buf *out, unsigned char c)
{
    static const char from[] = "\"\\\n\r\t\b\f";
    static const char to[] = "\"\\nrtbf";

    for (size_t i = 0; i < sizeof(from) - 1; i++)
        if ((unsigned char)from[i] == c) {
            buf_char(out, '\\');
            buf_char(out, to[i]);
            return;
        }
    buf_printf(out, "\\u%04x", c);
}

/* Most bytes are themselves. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void print_string(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t run = 0;

    buf_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        unsigned code;
        size_t len = is_plain(p[i]) ? 1 : utf8_sequence(p + i, s.len - i, &code);
        if (len > 1 || is_plain(p[i])) {
            i += len;
            continue;
        }
        buf_append(out, p + run, i - run);
        if (len)
            print_escape(out, p[i]);
        else
            buf_cstr(out, "\xef\xbf\xbd");
        run = ++i;
    }
    buf_append(out, p + run, s.len - run);
    buf_char(out, '"');
}

void json_out_key_str(struct json_out *j, struct str key)
{
    before_value(j);
    print_string(j->out, key);
    buf_cstr(j->out, j->pretty ? ": " : ":");
    j->after_key = true;
}

void json_out_key(struct json_out *j, const char *key)
{
    json_out_key_str(j, str_from(key));
}

void json_out_str(struct json_out *j, struct str s)
{
    if (!s.ptr) {
        json_out_null(j);
        return;
    }
    before_value(j);
    print_string(j->out, s);
}

void json_out_cstr(struct json_out *j, const char *s)
{
    json_out_str(j, str_from(s));
}

void json_out_int(struct json_out *j, int64_t n)
{
    before_value(j);
    buf_decimal(j->out, n);
}

void json_out_double(struct json_out *j, double n)
{
    char text[40];

    if (!isfinite(n)) {
        json_out_null(j);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, n);
        if (strtod(text, NULL) == n)
            break;
    }
    before_value(j);
    buf_cstr(j->out, text);
}

void json_out_bool(struct json_out *j, bool b)
{
    before_value(j);
    buf_cstr(j->out, b ? "true" : "false");
}

void json_out_null(struct json_out *j)
{
    before_value(j);
    buf_cstr(j->out, "null");
}

void json_out_raw(struct json_out *j, struct str json)
{
    before_value(j);
    buf_str(j->out, json);
}

void json_out_member_object(struct json_out *j, const char *key)
{
    json_out_key(j, key);
    json_out_object(j);
}

void json_out_member_array(struct json_out *j, const char *key)
{
    json_out_key(j, key);
    json_out_array(j);
}

void json_out_member_str(struct json_out *j, const char *key, struct str s)
{
    json_out_key(j, key);
    json_out_str(j, s);
}

void json_out_member_cstr(struct json_out *j, const char *key, const char *s)
{
    json_out_member_str(j, key, str_from(s));
}

void json_out_member_int(struct json_out *j, const char *key, int64_t n)
{
    json_out_key(j, key);
    json_out_int(j, n);
}

void json_out_member_bool(struct json_out *j, const char *key, bool b)
{
    json_out_key(j, key);
    json_out_bool(j, b);
}

void json_out_member_time(struct json_out *j, const char *key, int64_t seconds)
{
    json_out_key(j, key);
    if (seconds)
        json_out_cstr(j, clock_text(seconds).text);
    else
        json_out_null(j);
}

void json_out_member_null(struct json_out *j, const char *key)
{
    json_out_key(j, key);
    json_out_null(j);
}
