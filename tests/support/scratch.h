#pragma once

/* A directory of a test's own: in memory where there is /dev/shm, since these tests sync a lot. */

#define SCRATCH_PATH_MAX 128

/* Makes one; `path` holds SCRATCH_PATH_MAX. Ends the program where it cannot. */
void scratch_make(char *path);
/* Removes `path` and everything below it. */
void scratch_remove(const char *path);
