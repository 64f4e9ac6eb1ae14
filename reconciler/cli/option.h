#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/error.h"

/*
 * The command line as GNU programs read it: options before or after operands, `--name=value` and
 * `--name value`, `--` ends the options, a lone `-` is an operand. One table says which there are;
 * a verb's row says which of them it takes (verb.h).
 */

/* Words on one command line; the kernel's own bound on bytes lets through far more. */
#define OPTION_WORDS_MAX 100000

enum option_id {
    OPTION_CONFIG,
    OPTION_SET,
    OPTION_ACME_SERVER,
    OPTION_ACME_TRUSTED_CERTIFICATE,
    OPTION_DECK_ENV,
    OPTION_DECK_FORMAT,
    OPTION_IGNORE_UNSUPPORTED,
    OPTION_NOW,
    OPTION_FORMAT,
    OPTION_AGAINST,
    OPTION_OUT,
    OPTION_APPROVE,
    OPTION_MAX_AGE,
    OPTION_EXIT_CODE,
    OPTION_ALL,
    OPTION_WATCH,
    OPTION_STRICT,
    OPTION_FLATTEN,
    OPTION_SHOW_SECRETS,
    OPTION_DAYS,
    OPTION_LIFETIME,
    OPTION_CA_OUTAGE,
    OPTION_SEED,
    OPTION_VERBOSE,
    OPTION_NO_COLOR,
    OPTION_MAN,
    OPTION_COMPLETION,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT
};

/* A set of options: bits of enum option_id. */
#define OPTION_BIT(id) (1u << (id))

struct option_row {
    const char *name;     /* without the dashes */
    const char *argument; /* "FILE"; NULL = takes none */
    const char *help;     /* one sentence, no full stop */
    char letter;          /* '\0' = only the long name */
    const char *absent;   /* the argument may be left out, and is this then; it follows a `=` */
    const char *setting;  /* it is short for --set SETTING=ARGUMENT, or =on; NULL = it is not */
};

enum option_format {
    OPTION_FORMAT_TEXT,
    OPTION_FORMAT_JSON,
    OPTION_FORMAT_MARKDOWN,
    OPTION_FORMAT_SARIF,
    OPTION_FORMAT_COUNT
};

/* A command line, taken apart. Strings point into argv, but for the assignments' list. */
struct options {
    unsigned seen;                    /* OPTION_BITs of what was given */
    const char *values[OPTION_COUNT]; /* arguments, the last of each; NULL = not given, or none */
    const char **outages;             /* --ca-outage, each of them, NULL-terminated; owned */
    size_t outage_count;
    char **assignments; /* key=value in the order given, NULL-terminated; owned */
    size_t assignment_count;
    int64_t now; /* unix seconds, valid if OPTION_NOW was seen */
    enum option_format format;
    const char **operands; /* NULL-terminated; the first is the verb; owned */
    size_t operand_count;
};

/* The table: OPTION_COUNT rows, in the order of enum option_id. */
const struct option_row *option_rows(void);

/* "text" ...: what --format takes, as far as the verb does. */
const char *option_format_name(enum option_format format);

/*
 * Takes argv[1] to argv[argc - 1] apart. 0; -1 with *e (ERROR_USAGE, ERROR_LIMIT, ERROR_MEMORY).
 * `o` is zeroed first; option_fini it either way: what was understood before a mistake stays, so
 * that the hint can name the verb.
 */
int option_parse(struct options *o, int argc, char *const *argv, struct error *e) MUST_CHECK;
void option_fini(struct options *o);

/* True if `id` was given. */
bool option_seen(const struct options *o, enum option_id id);
