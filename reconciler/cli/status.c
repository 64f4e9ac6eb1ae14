#include "reconciler/control/status.h"

#include "reconciler/cli/ask.h"
#include "reconciler/cli/input.h"
#include "reconciler/cli/output.h"
#include "reconciler/cli/status_text.h"
#include "reconciler/cli/verb.h"

static int print(const struct command *c, const struct buf *body, struct error *e)
{
    const struct status_text_options options = {
        .colour = output_is_coloured(option_seen(c->options, OPTION_NO_COLOR), c->environment),
        .verbose = option_seen(c->options, OPTION_VERBOSE),
    };
    struct buf out = BUF_INIT(2 * STATUS_BODY_MAX);
    int rc = 0;

    if (c->options->format == OPTION_FORMAT_JSON) {
        buf_str(&out, buf_view(body));
        if (!body->len || body->data[body->len - 1] != '\n')
            buf_char(&out, '\n');
    } else {
        rc = status_text_print(buf_view(body), &options, &out, e);
    }
    if (rc == 0)
        rc = output_buf(&out, e);
    buf_free(&out);
    return rc;
}

int status_command(const struct command *c)
{
    struct buf body = BUF_INIT(STATUS_BODY_MAX);
    struct settings s;
    struct error e;
    int code = input_settings(c, VERB_ANY, &s);

    if (code == VERB_DONE &&
        (ask_server(s.prefix, "/status.json", &body, &e) || print(c, &body, &e))) {
        output_error(&e);
        code = VERB_FAILED;
    }
    buf_free(&body);
    settings_fini(&s);
    return code;
}
