#pragma once

#include "reconciler/base/buf.h"
#include "spec/problem.h"

/*
 * Problems as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of a pull request. One
 * run, one result a problem, two rules: what is invalid, and what is valid and yet doubtful.
 */

/* Columns are bytes of the line, as everywhere here. Failure shows as out->failed. */
void sarif_print(const struct problems *problems, struct buf *out);
