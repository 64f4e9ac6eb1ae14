#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "reconciler/base/buf.h"

#define GOLDEN_MAX ((size_t)4 << 20)

static int read_whole(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "r");
    char part[4096];
    size_t len;

    if (!file)
        return -1;
    while ((len = fread(part, 1, sizeof(part), file)) > 0)
        buf_append(out, part, len);
    fclose(file);
    return out->failed ? -1 : 0;
}

static bool write_whole(const char *path, struct str text)
{
    FILE *file = fopen(path, "w");
    bool good = file && fwrite(text.ptr, 1, text.len, file) == text.len;

    if (file)
        good = fclose(file) == 0 && good;
    if (!good)
        fprintf(stderr, "%s: cannot be written\n", path);
    return good;
}

static struct str line_at(struct str text, size_t line)
{
    struct str rest = text, found = str_cut(rest, '\n', &rest);

    for (size_t i = 1; i < line && rest.ptr; i++)
        found = str_cut(rest, '\n', &rest);
    return found;
}

static void show_difference(const char *path, struct str expected, struct str actual)
{
    size_t line = 1;

    for (size_t i = 0; i < expected.len && i < actual.len && expected.ptr[i] == actual.ptr[i]; i++)
        line += expected.ptr[i] == '\n';
    fprintf(stderr, "%s:%zu\n  expected: %.*s\n  actual:   %.*s\n", path, line,
            STR_ARG(line_at(expected, line)), STR_ARG(line_at(actual, line)));
}

bool golden_matches(const char *path, struct str actual)
{
    struct buf expected = BUF_INIT(GOLDEN_MAX);
    const char *update = getenv("UPDATE_GOLDEN");
    bool same;

    if (update && *update == '1')
        return write_whole(path, actual);
    if (read_whole(path, &expected)) {
        fprintf(stderr, "%s: cannot be read (UPDATE_GOLDEN=1 makes it)\n", path);
        buf_free(&expected);
        return false;
    }
    same = str_equal(buf_view(&expected), actual);
    if (!same)
        show_difference(path, buf_view(&expected), actual);
    buf_free(&expected);
    return same;
}
