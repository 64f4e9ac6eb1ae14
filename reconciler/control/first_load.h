#pragma once

#include <stdbool.h>

#include "reconciler/base/attr.h"

struct control;

/*
 * Reads the file for the first time and takes what it asks for; where it is bad and an earlier one
 * was taken before, that one. The loop turns meanwhile. 0, or the exit code: said why on stderr.
 */
int first_load(struct control *c, bool needs_approval) MUST_CHECK;
