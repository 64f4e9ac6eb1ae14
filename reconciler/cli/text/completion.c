#include "reconciler/cli/text/completion.h"

#include "reconciler/cli/verb.h"
#include "reconciler/settings/settings.h"

static const char head[] =
    "# Completion of reconcert for bash(1), made by 'reconcert help --completion'.\n"
    "_reconcert()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local options= formats=\n"
    "    # Readline takes `--format=json` for three words.\n"
    "    [[ $word == = ]] && word=\n"
    "    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    COMPREPLY=()\n"
    "    if ((COMP_CWORD == 1)) || [[ $before == help ]]; then\n"
    "        COMPREPLY=($(compgen -W '";

static const char choice[] = "' -- \"$word\"))\n"
                             "        return\n"
                             "    fi\n"
                             "    case ${COMP_WORDS[1]} in\n";

static const char arguments[] = "    esac\n"
                                "    case $before in\n"
                                "    --format)\n"
                                "        COMPREPLY=($(compgen -W \"$formats\" -- \"$word\"))\n"
                                "        return\n"
                                "        ;;\n"
                                "    --set)\n"
                                "        compopt -o nospace 2>/dev/null\n"
                                "        COMPREPLY=($(compgen -S = -W '";

static const char tail[] = "' -- \"$word\"))\n"
                           "        return\n"
                           "        ;;\n"
                           "    esac\n"
                           "    # Anything else is a file: readline's own completion.\n"
                           "    [[ $word == -* ]] && "
                           "COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                           "}\n"
                           "complete -o default -F _reconcert reconcert\n";

static void print_verb(const struct verb *v, struct buf *out)
{
    const struct option_row *rows = option_rows();

    buf_printf(out, "    %s)\n        options='", v->name);
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        if (v->options & OPTION_BIT(id))
            buf_printf(out, "--%s ", rows[id].name);
    buf_cstr(out, "'\n        formats='");
    verb_print_formats(v, " ", out);
    buf_cstr(out, "'\n        ;;\n");
}

void completion_print(struct buf *out)
{
    buf_cstr(out, head);
    for (const struct verb *v = verb_rows(); v->name; v++)
        buf_printf(out, "%s ", v->name);
    buf_cstr(out, choice);
    for (const struct verb *v = verb_rows(); v->name; v++)
        print_verb(v, out);
    buf_cstr(out, arguments);
    for (const struct settings_row *row = settings_rows(); row->name; row++)
        buf_printf(out, "%s ", row->name);
    buf_cstr(out, tail);
}
