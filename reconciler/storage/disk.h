#pragma once

#include "storage.h"

/*
 * The storage of one machine: a file (file.h) behind a thread of its own, so that a disk that takes
 * minutes holds up nothing else. What is asked in one turn of the loop goes to it together, puts
 * next to each other in one durable step; one that is refused does not take its neighbours with it.
 */
extern const struct storage_operations disk_operations;

#define DISK_GROUP_MAX 1024 /* values that one step takes of several puts */
