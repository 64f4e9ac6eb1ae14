#pragma once

#include "buf.h"
#include "happening.h"

/*
 * What happened as a short sentence, for somebody who looks on: `12:01:03 www.example.com:
 * certificate stored, from R11, until 2027-02-22`. Times are UTC. Pure.
 */
/* Failure shows as out->failed. No end of line. */
void log_sentence_print(struct buf *out, const struct happening *h);
