#ifndef SPEC_DOCUMENT_JSON_H
#define SPEC_DOCUMENT_JSON_H

#include "reconciler/base/buf.h"
#include "spec/document.h"
#include "spec/names.h"

/* Appends the value as compact JSON, keys in the order of the file; what is no number in JSON is
 * null. */
void document_json_print(struct buf *out, const struct document_node *n, const struct names *names);

#endif
