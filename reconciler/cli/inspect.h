#pragma once

#include <stdint.h>

#include "reconciler/base/error.h"
#include "reconciler/control/load.h"

/*
 * Warnings about declared certificates, which spec cannot give: they need the clock and what the
 * certificates say. Expired or not yet valid; a chain that does not lead upward, is too long, or
 * cannot be read; an SNI that the certificate does not cover; what is passed over in a PEM text.
 */

/*
 * Adds them to l->problems, which stay sorted; `l` was loaded with keep_detail and has a model.
 * 0, or -1 (memory).
 */
int inspect_certificates(struct loaded *l, int64_t now, struct error *e) MUST_CHECK;
