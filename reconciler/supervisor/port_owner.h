#pragma once

#include <stdint.h>

#include "reconciler/base/buf.h"

/*
 * Appends who listens on a TCP port of this machine, as far as /proc tells us: "nginx (process
 * 12)". Sockets of other users' processes are only root's to see: then it says so.
 */
void port_owner_print(uint16_t port, struct buf *out);
