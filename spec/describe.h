#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/json_out.h"

/*
 * The format itself, printed from the tables that check it, so that neither can say what the other
 * does not.
 */

/*
 * A JSON Schema (draft 7, which editors' YAML plugins know). Looser than the checks, never
 * stricter.
 */
void describe_json_schema(struct json_out *out);
/* The configuration reference: acme first, then every entity, a table each. */
void describe_markdown(struct buf *out);
