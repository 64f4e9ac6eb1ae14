#pragma once

#include <stddef.h>

struct issuance;
struct task;

/*
 * Has the keys made that these tasks lack, on the job thread; each is ready when it has one. Of
 * keys that take long one is made at a time, the most urgent of all that are lacking first: other
 * jobs wait for one at most. Private to issuance.c.
 */
void task_keys_make(struct issuance *i, struct task *const *tasks, size_t count);
