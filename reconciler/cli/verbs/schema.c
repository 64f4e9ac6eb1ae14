#include "reconciler/cli/verb.h"
#include "spec/describe.h"

/* Every field of every entity, with a sentence. */
#define SCHEMA_OUTPUT_MAX ((size_t)16 << 20)

int schema_command(const struct command *c)
{
    struct buf out = BUF_INIT(SCHEMA_OUTPUT_MAX);
    struct json_out j = json_out_pretty(&out);

    if (c->options->format == OPTION_FORMAT_MARKDOWN) {
        describe_markdown(&out);
    } else {
        describe_json_schema(&j);
        buf_char(&out, '\n');
    }
    return verb_print(&out);
}
