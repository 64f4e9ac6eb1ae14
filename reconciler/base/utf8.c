#include "utf8.h"

#include <stdbool.h>

#include "attr.h"

/* By length: which bits of the first byte tell it, their value, and the smallest code point. */
static const struct {
    unsigned char mask, lead;
    unsigned smallest;
} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

static bool is_scalar(unsigned code)
{
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

size_t utf8_sequence(const unsigned char *bytes, size_t left, unsigned *code)
{
    size_t form = 0;

    while (form < ARRAY_LENGTH(forms) && (bytes[0] & forms[form].mask) != forms[form].lead)
        form++;
    if (form == ARRAY_LENGTH(forms) || form >= left)
        return 0;
    *code = bytes[0] & (unsigned char)~forms[form].mask;
    for (size_t i = 1; i <= form; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (bytes[i] & 0x3f);
    }
    return *code >= forms[form].smallest && is_scalar(*code) ? form + 1 : 0;
}
