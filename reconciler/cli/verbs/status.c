#include "reconciler/admin/status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reconciler/base/clock.h"
#include "reconciler/cli/client/ask.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/text/output.h"
#include "reconciler/cli/text/status_text.h"
#include "reconciler/cli/verb.h"
#include "reconciler/control/note.h"

#define STATUS_WATCH_MS 2000
#define REDRAW "\033[H\033[J" /* from the upper left corner on, on an empty screen */

struct screen {
    size_t width, height; /* in characters; height 0: it is no terminal */
};

static struct screen find_screen(void)
{
    struct screen s = {.width = STATUS_TEXT_WIDTH};
    struct winsize w;

    if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w))
        return s;
    s.height = w.ws_row;
    if (w.ws_col > STATUS_TEXT_WIDTH)
        s.width = w.ws_col;
    return s;
}

/* The answer for people, or as it is; *code tells a fault. */
static int fill(const struct command *c, const struct screen *screen, const struct buf *body,
                struct buf *out, int *code, struct error *e)
{
    const struct status_text_options options = {
        .colour = output_is_coloured(option_seen(c->options, OPTION_NO_COLOR), c->environment),
        .verbose = option_seen(c->options, OPTION_VERBOSE),
        .width = screen->width,
        .now = clock_now(),
    };
    bool is_fault = false;
    int rc = status_text_print(buf_view(body), &options, out, &is_fault, e);

    if (rc == 0 && option_seen(c->options, OPTION_EXIT_CODE))
        *code = is_fault ? VERB_STUCK : VERB_DONE;
    if (rc || c->options->format != OPTION_FORMAT_JSON)
        return rc;
    buf_clear(out);
    buf_str(out, buf_view(body));
    if (body->data[body->len - 1] != '\n')
        buf_char(out, '\n');
    return 0;
}

static int look(const struct command *c, const struct settings *s, const struct screen *screen,
                struct buf *out, int *code, struct error *e)
{
    struct buf body = BUF_INIT(STATUS_BODY_MAX);
    int rc = ask_server(s->prefix, "/status.json", &body, e);

    if (rc == 0)
        rc = fill(c, screen, &body, out, code, e);
    buf_free(&body);
    return rc;
}

static int look_once(const struct command *c, const struct settings *s)
{
    const struct screen screen = find_screen();
    struct buf out = BUF_INIT(2 * STATUS_BODY_MAX);
    int code = VERB_DONE;
    struct error e;

    if (look(c, s, &screen, &out, &code, &e) || output_buf(&out, &e))
        code = verb_fail(&e);
    buf_free(&out);
    return code;
}

/* ---- again and again ---- */

/* Nothing is held that would have to be given back. */
static void end_watch(int number)
{
    (void)number;
    _exit(VERB_DONE);
}

/* What does not fit on the screen is left out: it would push the rest away. */
static void cut(struct buf *out, size_t height)
{
    size_t lines = 0, at = 0;

    while (at < out->len && lines + 1 < height)
        lines += out->data[at++] == '\n';
    if (height && at < out->len) {
        out->len = at;
        buf_cstr(out, "...");
    }
}

/* A server that is not there is one that may come back. */
static int watch(const struct command *c, const struct settings *s)
{
    const struct sigaction end = {.sa_handler = end_watch};
    int code = VERB_DONE, unused;
    struct error e;

    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    while (code == VERB_DONE) {
        const struct screen screen = find_screen();
        struct buf out = BUF_INIT(2 * STATUS_BODY_MAX);

        buf_printf(&out, "%s%s, every %d s, until Ctrl-C\n\n", screen.height ? REDRAW : "",
                   clock_text(clock_now()).text, STATUS_WATCH_MS / 1000);
        if (look(c, s, &screen, &out, &unused, &e)) {
            note_error(&e, &out);
            buf_char(&out, '\n');
        }
        cut(&out, screen.height);
        code = verb_print(&out);
        if (code == VERB_DONE)
            poll(NULL, 0, STATUS_WATCH_MS);
    }
    return code;
}

static int refuse_watch(const struct command *c)
{
    struct error e;

    error_set(&e, ERROR_USAGE, "--watch is for people: not with --format=json or --exit-code");
    return verb_refuse(c->verb, &e);
}

int status_command(const struct command *c)
{
    bool watches = option_seen(c->options, OPTION_WATCH);
    struct settings s;
    int code;

    if (watches &&
        (c->options->format == OPTION_FORMAT_JSON || option_seen(c->options, OPTION_EXIT_CODE)))
        return refuse_watch(c);
    code = input_settings(c, VERB_ANY, &s);
    if (code == VERB_DONE)
        code = watches ? watch(c, &s) : look_once(c, &s);
    settings_fini(&s);
    return code;
}
