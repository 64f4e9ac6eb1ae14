#include "reconciler/pki/pem.h"

#include <string.h>

#include "reconciler/base/base64.h"
#include "reconciler/pki/der.h"

#define PEM_LINE 64
#define PEM_DIGIT 0x40
#define PEM_BLANK 1
#define PEM_PADDING 2

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* As OpenSSL's readers name them. A label that no row has is of no kind. */
static const struct {
    struct str label;
    enum pem_kind kind;
} labels[] = {
    {STR_INIT("CERTIFICATE"), PEM_CERTIFICATE},
    {STR_INIT("X509 CERTIFICATE"), PEM_CERTIFICATE},
    {STR_INIT("TRUSTED CERTIFICATE"), PEM_CERTIFICATE},
    {STR_INIT("PRIVATE KEY"), PEM_PRIVATE_KEY},
    {STR_INIT("ENCRYPTED PRIVATE KEY"), PEM_PRIVATE_KEY},
    {STR_INIT("EC PRIVATE KEY"), PEM_PRIVATE_KEY},
    {STR_INIT("RSA PRIVATE KEY"), PEM_PRIVATE_KEY},
    {STR_INIT("DSA PRIVATE KEY"), PEM_PRIVATE_KEY},
    {STR_INIT("PUBLIC KEY"), PEM_PUBLIC_KEY},
    {STR_INIT("RSA PUBLIC KEY"), PEM_PUBLIC_KEY},
};

static const char *const kind_names[] = {
    [PEM_CERTIFICATE] = "certificate",
    [PEM_PRIVATE_KEY] = "private key",
    [PEM_PUBLIC_KEY] = "public key",
};

static bool is_of_kind(struct str label, enum pem_kind kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(labels); i++)
        if (str_equal(label, labels[i].label))
            return labels[i].kind == kind;
    return false;
}

/* Capitals, digits, blanks and hyphens (RFC 7468 §3 takes more): such a text is nobody's secret. */
static bool is_label(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != ' ' && c != '-')
            return false;
    }
    return text.len && text.len <= PEM_LABEL_MAX;
}

/* The rest of a boundary line from `at`: its label; *next is where the following line starts. */
static bool read_boundary(struct str text, size_t at, struct str *label, size_t *next)
{
    size_t end = str_find(text, '\n', at);
    struct str line = str_trim(str_slice(text, at, end));

    *next = end < text.len ? end + 1 : text.len;
    if (!str_ends(line, str_from(dashes)))
        return false;
    *label = str_slice(line, 0, line.len - strlen(dashes));
    return is_label(*label);
}

/* Where `mark` stands from `at` on; text.len where it does not. */
static size_t find_mark(struct str text, size_t at, const char *mark)
{
    const char *hit =
        at < text.len ? memmem(text.ptr + at, text.len - at, mark, strlen(mark)) : NULL;

    return hit ? (size_t)(hit - text.ptr) : text.len;
}

/* At a line's start, or behind a byte order mark there: files with one each may be put together. */
static bool starts_line(struct str text, size_t at)
{
    size_t mark = strlen(byte_order_mark);

    if (at >= mark && memcmp(text.ptr + at - mark, byte_order_mark, mark) == 0)
        at -= mark;
    return at == 0 || text.ptr[at - 1] == '\n';
}

static size_t find_end(struct str text, size_t at)
{
    do {
        at = find_mark(text, at, end_mark);
    } while (at < text.len && text.ptr[at - 1] != '\n' && (at += strlen(end_mark)));
    return at;
}

static void skip(struct pem_reader *r, struct str label)
{
    if (!r->skipped++)
        r->skipped_label = label;
}

/* The next block of any kind. */
static int next_block(struct pem_reader *r, struct pem_block *block, struct error *e)
{
    struct str label = STR_NONE, end_label;
    size_t begin, body, end;

    for (;;) {
        begin = find_mark(r->text, r->at, begin_mark);
        if (begin >= r->text.len)
            return 0;
        if (read_boundary(r->text, begin + strlen(begin_mark), &label, &body) &&
            starts_line(r->text, begin))
            break;
        skip(r, STR_NONE);
        r->at = body;
    }
    end = find_end(r->text, body);
    if (end >= r->text.len)
        return error_set(e, ERROR_SYNTAX, "BEGIN line without its END line");
    if (!read_boundary(r->text, end + strlen(end_mark), &end_label, &r->at) ||
        !str_equal(label, end_label))
        return error_set(e, ERROR_SYNTAX, "BEGIN and END lines with different labels");
    block->label = label;
    block->base64 = str_slice(r->text, body, end);
    return 1;
}

int pem_next(struct pem_reader *r, struct pem_block *block, struct error *e)
{
    int found;

    while ((found = next_block(r, block, e)) == 1) {
        if (is_of_kind(block->label, r->kind))
            return 1;
        skip(r, block->label);
    }
    return found;
}

static int append(const struct pem_block *block, enum pem_kind kind, struct buf *der,
                  struct error *e)
{
    char *room = buf_reserve(der, pem_size_max(block));
    ptrdiff_t len;

    if (!room)
        return error_set(e, ERROR_LIMIT, "the %s is longer than %zu bytes", kind_names[kind],
                         der->max);
    len = pem_decode(block, (unsigned char *)room, e);
    if (len < 0)
        return -1;
    buf_commit(der, (size_t)len);
    return 0;
}

int pem_read(struct pem_reader *r, struct buf *der, struct error *e)
{
    struct pem_block block;
    int found = pem_next(r, &block, e);

    return found == 1 && append(&block, r->kind, der, e) ? -1 : found;
}

int pem_read_first(struct pem_reader *r, struct buf *der, struct pem_block *block, struct error *e)
{
    int found = pem_next(r, block, e);

    if (found < 0)
        return -1;
    if (found == 1)
        return append(block, r->kind, der, e);
    error_set(e, ERROR_CRYPTO, "no %s in the PEM text", kind_names[r->kind]);
    if (r->skipped) {
        struct buf why = BUF_INIT(ERROR_MESSAGE_MAX);
        pem_print_skipped(r, &why);
        error_set(e, ERROR_CRYPTO, "no %s in the PEM text: %.*s", kind_names[r->kind],
                  STR_ARG(buf_view(&why)));
        buf_free(&why);
    }
    return -1;
}

void pem_print_skipped(const struct pem_reader *r, struct buf *out)
{
    if (!r->skipped)
        return;
    if (r->skipped_label.ptr)
        buf_printf(out, "'%.*s' is passed over, which is no %s", STR_ARG(r->skipped_label),
                   kind_names[r->kind]);
    else
        buf_cstr(out, "a BEGIN line is passed over that does not stand alone in its line");
    if (r->skipped > 1)
        buf_printf(out, " (and %zu more)", r->skipped - 1);
}

size_t pem_size_max(const struct pem_block *block)
{
    return block->base64.len / 4 * 3 + 3;
}

/* By byte: PEM_DIGIT + its value (RFC 4648 §4), PEM_BLANK, PEM_PADDING, or 0 for what has no place
 * here. */
/* clang-format off */
static const unsigned char values[256] = {
      0,   0,   0,   0,   0,   0,   0,   0,   0,   1,   1,   0,   0,   1,   0,   0,  /* 0x00 */
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  /* 0x10 */
      1,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, 126,   0,   0,   0, 127,  /* 0x20 */
    116, 117, 118, 119, 120, 121, 122, 123, 124, 125,   0,   0,   0,   2,   0,   0,  /* 0x30 */
      0,  64,  65,  66,  67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,  /* 0x40 */
     79,  80,  81,  82,  83,  84,  85,  86,  87,  88,  89,   0,   0,   0,   0,   0,  /* 0x50 */
      0,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99, 100, 101, 102, 103, 104,  /* 0x60 */
    105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,   0,   0,   0,   0,   0,  /* 0x70 */
};
/* clang-format on */

/* A run of whole groups, the common case: a line. */
static const unsigned char *decode_groups(const unsigned char *p, const unsigned char *end,
                                          unsigned char **out)
{
    unsigned char *to = *out;

    for (; end - p >= 4; p += 4, to += 3) {
        unsigned a = values[p[0]], b = values[p[1]], c = values[p[2]], d = values[p[3]];
        unsigned word = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);

        if (!(a & b & c & d & PEM_DIGIT))
            break;
        to[0] = (unsigned char)(word >> 16);
        to[1] = (unsigned char)(word >> 8);
        to[2] = (unsigned char)word;
    }
    *out = to;
    return p;
}

/* Only padding and blanks may follow the first '='; `held` are the characters of an open group. */
static bool is_padding(const unsigned char *p, const unsigned char *end, unsigned held)
{
    unsigned count = 0;

    for (; p < end; p++) {
        if (values[*p] == PEM_PADDING)
            count++;
        else if (values[*p] != PEM_BLANK)
            return false;
    }
    return held >= 2 && held + count == 4;
}

static ptrdiff_t decode(const unsigned char *p, const unsigned char *end, unsigned char *out)
{
    const unsigned char *start = out;
    unsigned word = 0, held = 0;

    while (p < end) {
        unsigned char value;

        if (!held)
            p = decode_groups(p, end, &out);
        if (p == end || (value = values[*p]) == PEM_PADDING)
            break;
        p++;
        if (value == PEM_BLANK)
            continue;
        if (!value)
            return -1;
        word = word << 6 | (value & 63);
        if (++held == 4) {
            *out++ = (unsigned char)(word >> 16);
            *out++ = (unsigned char)(word >> 8);
            *out++ = (unsigned char)word;
            held = 0;
        }
    }
    if ((p < end || held) && !is_padding(p, end, held))
        return -1;
    for (unsigned bits = 6 * held; bits >= 8; bits -= 8)
        *out++ = (unsigned char)(word >> (bits - 8));
    return out - start;
}

/* RFC 1421 headers ("Proc-Type: 4,ENCRYPTED") end with an empty line; false: they say encrypted. */
static bool skip_headers(struct str *body)
{
    struct str rest = *body, line;

    if (str_find(*body, ':', 0) == body->len)
        return true;
    while (rest.ptr) {
        line = str_trim(str_cut(rest, '\n', &rest));
        if (str_starts(line, STR("Proc-Type:")) && str_ends(line, STR("ENCRYPTED")))
            return false;
        if (!line.len) {
            *body = rest.ptr ? rest : STR("");
            return true;
        }
    }
    return true;
}

/* Behind a TRUSTED CERTIFICATE comes what OpenSSL is to trust it for. */
static ptrdiff_t cut_trust(const struct pem_block *block, const unsigned char *der, ptrdiff_t len)
{
    struct str cursor = {(const char *)der, (size_t)len};
    struct der_element certificate;

    if (!str_equal(block->label, STR("TRUSTED CERTIFICATE")) || !der_next(&cursor, &certificate))
        return len;
    return (ptrdiff_t)certificate.whole.len;
}

ptrdiff_t pem_decode(const struct pem_block *block, unsigned char *out, struct error *e)
{
    struct str body = block->base64;
    const unsigned char *p;
    ptrdiff_t len;

    if (!skip_headers(&body))
        return error_set(e, ERROR_INVALID, "it is encrypted; passphrases are not supported");
    p = (const unsigned char *)body.ptr;
    len = decode(p, p + body.len, out);
    return len >= 0 ? cut_trust(block, out, len)
                    : error_set(e, ERROR_SYNTAX, "its text is not base64");
}

void pem_append(struct buf *out, const char *label, struct str der)
{
    const size_t step = PEM_LINE / 4 * 3;

    buf_printf(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < der.len; at += step) {
        base64_append(out, BASE64_PLAIN, str_slice(der, at, at + step));
        buf_char(out, '\n');
    }
    buf_printf(out, "-----END %s-----\n", label);
}
