#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/* The names of kong.conf that we do not read ourselves. */

/* Why a setting that Kong knows means nothing here, as half a sentence; NULL for one Kong does not
 * know. */
const char *kong_name_why_ignored(struct str name);
/* The name under which we read it, for Kong's second names; else `name` itself. */
struct str kong_name_resolve(struct str name);
/*
 * Variables such as KONG_PROXY_SERVICE_HOST, which Kubernetes sets for a Service of that name: no
 * setting was meant. `name` is without KONG_ and in lower case.
 */
bool kong_name_is_service_link(struct str name);
/* Values that must not stand on a command line, where every user of the machine sees them. */
bool kong_name_is_secret(struct str name);
