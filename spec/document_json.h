#pragma once

#include "reconciler/base/buf.h"
#include "spec/document.h"
#include "spec/names.h"

/* Appends the value as compact JSON, keys in the order of the file; what is no number in JSON is
 * null. */
void document_json_print(struct buf *out, const struct document_node *n, const struct names *names);
