#include "reconciler/cli/text/output.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "reconciler/base/whole.h"
#include "reconciler/control/note.h"
#include "reconciler/core/render.h"

static int fail(int number, struct error *e)
{
    if (number != EPIPE)
        return error_errno(e, ERROR_IO, number, "cannot write to standard output");
    /* The reader has seen enough (`| head`): the exit code says it, no sentence does. */
    error_set(e, ERROR_IO, "%s", "");
    return -1;
}

static int write_out(struct str text, struct error *e)
{
    return whole_write(STDOUT_FILENO, text) ? fail(errno, e) : 0;
}

int output_buf(const struct buf *out, struct error *e)
{
    return out->failed ? error_memory(e) : write_out(buf_view(out), e);
}

int output_flush(void *context, struct buf *out)
{
    int rc = output_buf(out, context);

    buf_clear(out);
    return rc;
}

int output_close(struct error *e)
{
    return close(STDOUT_FILENO) && errno != EBADF ? fail(errno, e) : 0;
}

void output_aside(struct str text)
{
    if (whole_write(STDERR_FILENO, text))
        return; /* there is no third place to tell it */
}

void output_error(const struct error *e)
{
    struct buf line = BUF_INIT(OUTPUT_LINE_MAX);

    if (!e->message[0])
        return;
    buf_cstr(&line, "reconcert: ");
    note_error(e, &line);
    buf_char(&line, '\n');
    output_aside(buf_view(&line));
    buf_free(&line);
}

void output_note(struct str sentence)
{
    struct buf line = BUF_INIT(OUTPUT_LINE_MAX);

    buf_cstr(&line, "reconcert: note: ");
    render_outside(sentence, &line);
    buf_char(&line, '\n');
    output_aside(buf_view(&line));
    buf_free(&line);
}

const char *output_quote(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%s", text);
    return out;
}

static struct str find_variable(char *const *environment, const char *name)
{
    for (; environment && *environment; environment++) {
        struct str value;
        if (str_equal_cstr(str_cut(str_from(*environment), '=', &value), name))
            return value;
    }
    return STR_NONE;
}

bool output_is_coloured(bool no_color, char *const *environment)
{
    if (no_color || find_variable(environment, "NO_COLOR").len > 0 ||
        str_equal_cstr(find_variable(environment, "TERM"), "dumb"))
        return false;
    return isatty(STDOUT_FILENO) == 1;
}
