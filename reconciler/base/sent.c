#include "sent.h"

#include <inttypes.h>

#define AT_MAX INT64_C(999999999999)

int sent_next(struct str *rest, struct sent *s)
{
    struct str word = str_cut(*rest, ' ', rest);
    bool renewal = str_ends(word, STR("r"));
    uint64_t at;

    if (!word.len)
        return rest->ptr ? -1 : 0;
    if (!str_to_u64(str_slice(word, 0, word.len - renewal), &at) || at > AT_MAX)
        return -1;
    *s = (struct sent){(int64_t)at, renewal};
    return 1;
}

int sent_count(struct str text)
{
    struct sent s;
    int count = 0, rc;

    while ((rc = sent_next(&text, &s)) == 1)
        count++;
    return rc || count > SENT_MAX ? -1 : count;
}

void sent_append(struct buf *text, const struct sent *s)
{
    buf_printf(text, "%s%" PRId64 "%s", text->len ? " " : "", s->at, s->renewal ? "r" : "");
}
