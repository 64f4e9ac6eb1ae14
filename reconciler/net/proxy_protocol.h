#pragma once

#include <sys/socket.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/str.h"

/* The PROXY protocol's header, versions 1 and 2 (proxy-protocol.txt of HAProxy). Pure. */
#define PROXY_PROTOCOL_V1_MAX 107 /* CRLF included */
#define PROXY_PROTOCOL_MAX 1024   /* version 2 with its TLVs, which are skipped */

/*
 * Reads the header at the front of `bytes`: its length, 0 when more is needed, -1 when it is none.
 * *peer gets the client's address; it stays untouched where the header names none (LOCAL, UNKNOWN,
 * unix sockets).
 */
long proxy_protocol_parse(struct str bytes, struct sockaddr_storage *peer) MUST_CHECK;
