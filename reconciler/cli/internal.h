#pragma once

#include <stdbool.h>

/*
 * The verbs that the supervisor starts its children with (supervisor.h): `control`, `worker` and
 * `resume`. They are no part of the command line: main looks for them before anything else.
 */

/* True if argv[1] is one; *code is then what it returned. `environment` as environ. */
bool internal_run(int argc, char *const *argv, char *const *environment, int *code);
