#include "nearest.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the table are enough to see a swap. */
size_t nearest_distance(struct str a, struct str b)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    if (a.len > NEAREST_WORD_MAX || b.len > NEAREST_WORD_MAX)
        return NEAREST_WORD_MAX + 1;
    for (size_t k = 0; k <= b.len; k++)
        last[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            size_t other = last[k - 1] + (a.ptr[i - 1] != b.ptr[k - 1]);
            row[k] = smaller(other, smaller(last[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && a.ptr[i - 1] == b.ptr[k - 2] && a.ptr[i - 2] == b.ptr[k - 1])
                row[k] = smaller(row[k], before[k - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b.len];
}

/* The beginning of a word is as near to it as one edit. */
static size_t edits_between(struct str given, const char *word)
{
    return str_starts(str_from(word), given) ? 1 : nearest_distance(given, str_from(word));
}

void nearest_offer(struct str given, const char *word, const char **best)
{
    size_t edits = edits_between(given, word);
    size_t forgiven = given.len / 3 > 1 ? given.len / 3 : 1;

    if (given.len < 2 || edits > forgiven)
        return;
    if (!*best || edits < edits_between(given, *best))
        *best = word;
}
