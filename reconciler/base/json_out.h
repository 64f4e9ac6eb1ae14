#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "str.h"

#define JSON_OUT_DEPTH_MAX 32

/*
 * Writes JSON (RFC 8259) into a buf, commas and indents by itself. Bytes that are not UTF-8
 * are written as U+FFFD. `/` is never escaped. Deeper than JSON_OUT_DEPTH_MAX is a bug of ours.
 * Failure shows as `out->failed`.
 */
struct json_out {
    struct buf *out;
    int depth;
    bool pretty; /* two-space indents */
    bool after_key;
    bool has_items[JSON_OUT_DEPTH_MAX];
    bool is_array[JSON_OUT_DEPTH_MAX];
};

struct json_out json_out_compact(struct buf *out);
struct json_out json_out_pretty(struct buf *out);
void json_out_object(struct json_out *j);
void json_out_array(struct json_out *j);
void json_out_end(struct json_out *j); /* closes the innermost one */
void json_out_key(struct json_out *j, const char *key);
void json_out_key_str(struct json_out *j, struct str key);
void json_out_str(struct json_out *j, struct str s);   /* ptr NULL prints null */
void json_out_cstr(struct json_out *j, const char *s); /* NULL prints null */
void json_out_int(struct json_out *j, int64_t n);
/* The shortest text that reads back the same; inf and nan print null. */
void json_out_double(struct json_out *j, double n);
void json_out_bool(struct json_out *j, bool b);
void json_out_null(struct json_out *j);
/* Text that is JSON already, put in as one value. */
void json_out_raw(struct json_out *j, struct str json);

void json_out_member_object(struct json_out *j, const char *key);
void json_out_member_array(struct json_out *j, const char *key);
void json_out_member_str(struct json_out *j, const char *key, struct str s);
void json_out_member_cstr(struct json_out *j, const char *key, const char *s);
void json_out_member_int(struct json_out *j, const char *key, int64_t n);
void json_out_member_bool(struct json_out *j, const char *key, bool b);
/* null where seconds is 0 */
void json_out_member_time(struct json_out *j, const char *key, int64_t seconds);
void json_out_member_null(struct json_out *j, const char *key);
