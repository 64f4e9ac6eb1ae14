#pragma once

#include "reconciler/core/simulate.h"

/* Names at risk that a report for people lists; JSON has all. */
#define SIMULATE_TEXT_RISKS 20

/* A table with bars, then what stands out. 0, or -1 (out->failed). */
int simulate_text_print(const struct simulation *s, struct buf *out) MUST_CHECK;
int simulate_text_print_json(const struct simulation *s, struct buf *out) MUST_CHECK;
