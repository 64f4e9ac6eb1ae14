#pragma once

#include "reconciler/base/error.h"

#define WAY_STEPS_MAX 256 /* names and links on the way to a file; beyond it, own rights decide */

/*
 * Opens a file or folder for reading that somebody named to us. As root's child we may read all
 * files (CAP_DAC_READ_SEARCH), but who may write a folder on the way could lead us to a file that
 * is not theirs to read. So that right is used only where each folder on the way, links followed,
 * is root's alone to write, or lies on a read-only mount (the kubelet's folders are 0777 there) that
 * no link leads out of; in /tmp and its like a folder of root's is as good, since nobody else can
 * move it. Everywhere else the file is opened as anybody without that right would. A descriptor, or
 * -1 with errno.
 */
int way_open(const char *path) MUST_CHECK;
