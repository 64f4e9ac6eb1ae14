#pragma once

#include "reconciler/base/buf.h"

struct verb;

/* What `help` prints, from the tables of verbs, options and settings. Each appends to `out`. */
void help_print_overview(struct buf *out);
void help_print_verb(const struct verb *v, struct buf *out);
void help_print_settings(struct buf *out);
