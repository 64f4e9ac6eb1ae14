#pragma once

#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/cli/option.h"

/*
 * The verbs of the command line. Everything that tells people about them (help, the man page,
 * completion) and everything that checks a command line is read from this one table.
 */

/* Exit codes (design 6). */
enum verb_exit_code {
    VERB_DONE = 0,
    VERB_FAILED = 1,
    VERB_CHANGES = 2, /* diff --exit-code */
    VERB_STUCK = 4,   /* diff --exit-code */
    VERB_USAGE = 64
};

/* What a code means for one verb. */
struct verb_exit {
    int code;
    const char *text;
};

struct verb;

/* One command line, ready to run. */
struct command {
    const struct verb *verb;
    const struct options *options;
    const char *const *operands; /* those behind the verb, NULL-terminated */
    size_t operand_count;
    const char *const *arguments; /* argv from argv[1], NULL-terminated */
    char *const *environment;
};

#define VERB_EXITS_MAX 4
#define VERB_ANY ((size_t)-1) /* operands without a bound */

struct verb {
    const char *name;
    const char *operands;    /* "NAME [FILE]..."; "" = none */
    const char *summary;     /* one line, no full stop */
    const char *description; /* paragraphs, an empty line between them */
    size_t operand_min, operand_max;
    unsigned options; /* OPTION_BITs that it takes */
    unsigned formats; /* bits of enum option_format, where --format is one of them */
    struct verb_exit
        exits[VERB_EXITS_MAX]; /* in order of code, ends with text NULL; 64 is everyone's */
    int (*run)(const struct command *c); /* returns the exit code */
};

/* The rows until NULL name. */
const struct verb *verb_rows(void);
/* Appends "text|json": the formats of a verb that takes --format. */
void verb_print_formats(const struct verb *v, const char *separator, struct buf *out);
/* NULL if there is no such verb. */
const struct verb *verb_find(const char *name);
/*
 * Prints a usage error and where to read on (`verb` NULL: in the list of verbs). Returns the exit
 * code: VERB_USAGE, or VERB_FAILED if it was memory.
 */
int verb_refuse(const struct verb *verb, const struct error *e);
/* Prints what went wrong. Returns VERB_FAILED. */
int verb_fail(const struct error *e);
/* The end of a verb: writes what it printed and frees that. Returns the exit code. */
int verb_print(struct buf *out);
/* What exit code 64 means, for every verb. */
const char *verb_usage_text(void);
/* What a FILE may be, and where settings come from: paragraphs for help and the man page. */
const char *verb_file_text(void);
const char *verb_settings_text(void);
/* Follows the text of a setting that is checked but does nothing yet. */
#define VERB_LATER_TEXT " (checked; its part comes later)"

/*
 * The program: takes argv apart, runs the verb, prints what went wrong. Returns the exit code.
 * `environment` as environ.
 */
int verb_main(int argc, char *const *argv, char *const *environment);

/* One file each. */
int run_command(const struct command *c);
int check_command(const struct command *c);
int diff_command(const struct command *c);
int apply_command(const struct command *c);
int explain_command(const struct command *c);
int simulate_command(const struct command *c);
int retry_command(const struct command *c);
int status_command(const struct command *c);
int schema_command(const struct command *c);
int version_command(const struct command *c);
int help_command(const struct command *c);
