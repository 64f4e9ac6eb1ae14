#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attr.h"
#include "str.h"

/* Reads and writes that go on until all of it is done, whatever interrupts them. They block. */

/* All of it. 0, or -1 with errno. */
int whole_write(int fd, struct str bytes) MUST_CHECK;
int whole_write_at(int fd, struct str bytes, uint64_t offset) MUST_CHECK;
/* How many bytes came: fewer than `len` only where the file ends. -1 with errno. */
ssize_t whole_read(int fd, void *to, size_t len) MUST_CHECK;
ssize_t whole_read_at(int fd, void *to, size_t len, uint64_t offset) MUST_CHECK;
