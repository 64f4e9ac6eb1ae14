#include "reconciler/cli/input.h"
#include "reconciler/cli/verb.h"
#include "reconciler/supervisor/supervisor.h"

/*
 * The supervisor parses nothing from outside but the settings (design 4): the file is read, and
 * refused, by control, whose exit code then is ours.
 */
int run_command(const struct command *c)
{
    const struct supervisor_options options = {.environment = c->environment,
                                               .arguments = c->arguments};
    struct settings s;
    int code = input_settings(c, 0, &s);

    if (code == VERB_DONE)
        code = input_named(c, &s);
    if (code == VERB_DONE)
        code = input_keep_stdin(&s);
    if (code == VERB_DONE) {
        input_notes(&s);
        code = supervisor_run(&s, &options);
    }
    settings_fini(&s);
    return code;
}
