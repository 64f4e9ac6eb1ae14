#pragma once

#include "reconciler/base/attr.h"
#include "reconciler/base/error.h"

/*
 * Locks the process into what a worker does: no core dump, not traceable, no capability, no new
 * privileges, and only the system calls of an event loop that accepts, reads, writes and maps
 * segments: nothing is opened, connected or executed, no other process is sent a signal, and no
 * path is asked about (fstat is made as the system call of that name: glibc's is another one). The
 * others fail with EPERM. Works as root and
 * as anybody. Builds with a sanitizer go without the filter, because sanitizers need more.
 * -1 with *e when something of it cannot be had.
 */
int sandbox_enter(struct error *e) MUST_CHECK;
