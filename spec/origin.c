#include "origin.h"

static bool is_before(uint32_t line, uint32_t column, uint32_t other_line, uint32_t other_column)
{
    return line != other_line ? line < other_line : column < other_column;
}

/* How many pieces begin at the place or before it. */
static size_t count_until(const struct origin *o, uint32_t line, uint32_t column)
{
    size_t low = 0, high = o->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (is_before(line, column, o->items[middle].line, o->items[middle].column))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The last piece that begins at the place or before it. */
static const struct origin_piece *piece_before(const struct origin *o, uint32_t line,
                                               uint32_t column)
{
    size_t count = count_until(o, line, column);

    return count ? &o->items[count - 1] : NULL;
}

bool origin_is_inside(const struct origin *o, uint32_t line, uint32_t column)
{
    const struct origin_piece *p = piece_before(o, line, column);

    return p && is_before(line, column, p->end_line, p->end_column);
}

void origin_find(const struct origin *o, uint32_t *line, uint32_t *column)
{
    const struct origin_piece *p = piece_before(o, *line, *column);

    if (!p)
        return;
    if (origin_is_inside(o, *line, *column)) {
        *line = p->from_line;
        *column = p->from_column;
        return;
    }
    if (*line == p->end_line)
        *column = p->to_column + (*column - p->end_column);
    *line = p->to_line + (*line - p->end_line);
}
