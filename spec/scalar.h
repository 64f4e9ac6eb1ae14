#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"
#include "spec/document.h"

/*
 * What a plain YAML 1.1 scalar means, by the rules of the loader that Kong uses: null, booleans
 * (yes, no, on, off too, but not y and n), octal, hexadecimal, binary and sexagesimal integers,
 * floats. Sets kind and value of `node` and returns true, or returns false: it is a string.
 */
bool scalar_resolve(struct str text, struct document_node *node);

/* The same for a value with a tag, "tag:yaml.org,2002:int" ...: -1 if the text is not of that type;
 * 1 if the tag is none that has rules. */
int scalar_resolve_tagged(const char *tag, struct str text, struct document_node *node);
