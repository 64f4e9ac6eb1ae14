#pragma once

#include "spec/document.h"

/*
 * Strict RFC 8259 into the same tree as YAML: libyaml takes much that is no JSON. Numbers without
 * fraction and exponent that fit are integers. Other contract as document_parse, except that any
 * value may stand at the top.
 */
int json_parse(const struct document_options *options, struct str bytes, struct document_node *root,
               struct error *e) MUST_CHECK;
