#pragma once

#include "reconciler/cli/verb.h"
#include "reconciler/control/load.h"
#include "reconciler/settings/settings.h"

/*
 * What most verbs start from: the settings, then the file. Both print what is wrong and return an
 * exit code: VERB_DONE, or the one to end with.
 */

/*
 * The settings of the command line; operands from `first_file` on are FILEs, VERB_ANY = none are.
 * settings_fini `s` either way.
 */
int input_settings(const struct command *c, size_t first_file, struct settings *s);

/* Notes that the settings left, on stderr. */
void input_notes(const struct settings *s);

/* The file or files; where they are to be read, one must be named. Says so with a usage error if
 * not. */
int input_named(const struct command *c, const struct settings *s);

/*
 * Where a file is `-`: puts a file of its own, with all that standard input brings, in the place of
 * that, because `run` looks more than once.
 */
int input_keep_stdin(const struct settings *s);

/*
 * Reads and checks the file: VERB_DONE with a model in *loaded (load_free), or VERB_FAILED after
 * its problems went to stderr. Warnings go there too.
 */
int input_load(const struct command *c, const struct settings *s, struct loaded **loaded);

/* `kong.yaml: 3 errors, 1 warning` without an end of line. */
void input_print_summary(const struct loaded *loaded, struct buf *out);

/*
 * The first operand as a name, in lower case, in `arena` (NULL: memory was out). What can be no
 * name is a usage error.
 */
int input_name(const struct command *c, struct arena *arena, struct str *name);

/* --now, or the clock's. */
int64_t input_now(const struct command *c);
