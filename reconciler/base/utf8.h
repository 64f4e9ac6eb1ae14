#pragma once

#include <stddef.h>

/*
 * Length (1 to 4) of the well-formed UTF-8 sequence (RFC 3629) at the front of `left` bytes, with
 * its code point in *code; 0 where there is none: stray and missing continuation bytes, overlong
 * forms, surrogates, what lies above U+10FFFF.
 */
size_t utf8_sequence(const unsigned char *bytes, size_t left, unsigned *code);
