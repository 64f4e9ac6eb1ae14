#pragma once

#include "str.h"

#define IP_BYTES_MAX 16

/*
 * The family of a numeric address, AF_INET or AF_INET6, with its 4 or 16 bytes in `bytes`; 0: it
 * is none. Nothing around it: no brackets, no port, no zone.
 */
int ip_parse(struct str text, unsigned char bytes[IP_BYTES_MAX]);
