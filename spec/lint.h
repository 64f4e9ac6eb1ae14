#pragma once

#include "reconciler/base/error.h"
#include "spec/catalog.h"

/*
 * Warnings about a configuration that is valid: what can never match, what the CA cannot give, what
 * nobody enforces. Needs no clock and no certificate. -1 when memory is out.
 */
int lint_all(struct catalog *c, struct error *e) MUST_CHECK;
