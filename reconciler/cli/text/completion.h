#pragma once

#include "reconciler/base/buf.h"

/* Appends a completion function for bash(1), made from the tables of verbs and options. */
void completion_print(struct buf *out);
