#include "answer.h"

#define QUALITY_ONE 1000

static const struct {
    struct str media; /* exact, or the part in front of a "/" with a star behind it */
    enum answer_type type;
} media_types[] = {
    {STR_INIT("text/html"), ANSWER_HTML},      {STR_INIT("application/json"), ANSWER_JSON},
    {STR_INIT("application/xml"), ANSWER_XML}, {STR_INIT("text/plain"), ANSWER_PLAIN},
    {STR_INIT("text/*"), ANSWER_PLAIN},        {STR_INIT("application/grpc"), ANSWER_GRPC},
};

static enum answer_type type_of(struct str media)
{
    for (size_t i = 0; i < ARRAY_LENGTH(media_types); i++)
        if (str_equal(media, media_types[i].media))
            return media_types[i].type;
    return ANSWER_JSON;
}

/* ---- Accept ---- */

static bool is_word(char c)
{
    static const struct str marks = STR_INIT("-!#$&^_+.");

    c = str_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || str_find(marks, c, 0) < marks.len;
}

static bool is_alphanumeric(char c)
{
    c = str_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length of a name of two characters or more, or of a star; 0 = neither is there. */
static size_t name_length(struct str s)
{
    size_t len = 0;

    if (s.len && s.ptr[0] == '*')
        return 1;
    if (!s.len || !is_alphanumeric(s.ptr[0]))
        return 0;
    while (len < s.len && is_word(s.ptr[len]))
        len++;
    return len > 1 ? len : 0;
}

static struct str skip_blanks(struct str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = str_slice(s, 1, s.len);
    return s;
}

/* Up to three decimals behind a point, in thousandths; no digit above `top`. */
static int take_decimals(struct str s, char top, size_t *used)
{
    int unit = QUALITY_ONE / 10, value = 0;

    *used = 0;
    if (!s.len || s.ptr[0] != '.')
        return 0;
    for (*used = 1; *used < s.len && unit; (*used)++, unit /= 10) {
        char c = s.ptr[*used];
        if (c < '0' || c > top)
            break;
        value += (c - '0') * unit;
    }
    return value;
}

/* "q=0.123" in thousandths; what follows is left in *rest. -1 = this is no q. */
static int take_quality(struct str s, struct str *rest)
{
    bool is_one = str_starts(s, STR("q=1")) || str_starts(s, STR("Q=1"));
    size_t used;
    int decimals;

    if (!is_one && !str_starts(s, STR("q=0")) && !str_starts(s, STR("Q=0")))
        return -1;
    decimals = take_decimals(str_slice(s, 3, s.len), is_one ? '0' : '9', &used);
    *rest = str_slice(s, 3 + used, s.len);
    return is_one ? QUALITY_ONE : decimals;
}

/* The q among the parameters behind a media range; what does not parse ends them. */
static int quality_of(struct str parameters)
{
    int quality = QUALITY_ONE;

    for (;;) {
        struct str s = skip_blanks(parameters);
        int q;
        size_t name;
        if (!s.len || s.ptr[0] != ';')
            return quality;
        s = skip_blanks(str_slice(s, 1, s.len));
        q = take_quality(s, &parameters);
        if (q >= 0) {
            quality = q;
            continue;
        }
        name = name_length(s);
        if (!name || s.ptr[0] == '*')
            return quality;
        parameters = str_slice(s, str_find(s, ';', 0), s.len);
        if (name < s.len - parameters.len && s.ptr[name] != '=')
            return quality;
    }
}

/* type "/" subtype at the front; an empty view where there is none. */
static struct str media_of(struct str range)
{
    size_t type = name_length(range), subtype;

    if (!type || type >= range.len || range.ptr[type] != '/')
        return STR("");
    subtype = name_length(str_slice(range, type + 1, range.len));
    return subtype ? str_slice(range, 0, type + 1 + subtype) : STR("");
}

enum answer_type answer_negotiate(const struct str *accepts, size_t count, enum answer_type absent)
{
    enum answer_type type = count ? ANSWER_JSON : absent;
    size_t ranges = 0;
    int best = 0;

    for (size_t i = 0; i < count; i++) {
        struct str rest = accepts[i];
        while (rest.ptr && ranges++ < ANSWER_RANGES_MAX) {
            struct str range = str_trim(str_cut(rest, ',', &rest));
            struct str media = media_of(range);
            int quality = quality_of(str_slice(range, media.len, range.len));
            if (!media.len || quality <= best)
                continue;
            best = quality;
            type = type_of(media);
        }
    }
    return type;
}

/* ---- bodies ---- */

struct str answer_content_type(enum answer_type type)
{
    switch (type) {
    case ANSWER_HTML:
        return STR("text/html; charset=utf-8");
    case ANSWER_XML:
        return STR("application/xml; charset=utf-8");
    case ANSWER_PLAIN:
        return STR("text/plain; charset=utf-8");
    case ANSWER_GRPC:
        return STR_NONE;
    case ANSWER_JSON:
        break;
    }
    return STR("application/json; charset=utf-8");
}

/* Bodies as literal text around message and id. */
static const struct {
    const char *before, *between, *behind;
} templates[] = {
    [ANSWER_JSON] = {"{\n  \"message\":\"", "\",\n  \"request_id\":\"", "\"\n}"},
    [ANSWER_HTML] = {"<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n"
                     "    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    <p>",
                     ".</p>\n    <p>request_id: ", "</p>\n  </body>\n</html>\n"},
    [ANSWER_XML] = {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>",
                    "</message>\n  <requestid>", "</requestid>\n</error>\n"},
    [ANSWER_PLAIN] = {"", "\nrequest_id: ", "\n"},
};

void answer_body(struct buf *out, enum answer_type type, const char *message, const char *id)
{
    if (type == ANSWER_GRPC)
        return;
    buf_cstr(out, templates[type].before);
    buf_cstr(out, message);
    buf_cstr(out, templates[type].between);
    buf_cstr(out, id);
    buf_cstr(out, templates[type].behind);
}

void answer_id(const unsigned char bytes[16], char id[ANSWER_ID_SIZE])
{
    str_hex(bytes, 16, id);
}
