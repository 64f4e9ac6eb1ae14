#include "reconciler/cli/text/paragraph.h"

static void pad(size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        buf_char(out, ' ');
}

void paragraph_pad(size_t at, size_t column, struct buf *out)
{
    if (at < column) {
        pad(column - at, out);
        return;
    }
    buf_char(out, '\n');
    pad(column, out);
}

void paragraph_print(struct str text, size_t indent, size_t column, struct buf *out)
{
    bool is_start = true;

    while (text.len) {
        struct str rest, line = str_cut(text, '\n', &rest);

        while (line.len) {
            struct str word = str_cut(line, ' ', &line);
            if (!is_start && column + 1 + word.len > PARAGRAPH_WIDTH) {
                buf_char(out, '\n');
                pad(indent, out);
                column = indent;
                is_start = true;
            }
            if (!is_start)
                buf_char(out, ' ');
            buf_str(out, word);
            column += word.len + !is_start;
            is_start = false;
        }
        if (rest.len && rest.ptr[0] == '\n') {
            buf_cstr(out, "\n\n");
            pad(indent, out);
            column = indent;
            is_start = true;
        }
        text = rest;
    }
    buf_char(out, '\n');
}
