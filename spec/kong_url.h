#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/* A URL taken apart as leniently as Kong does; what is absent has ptr NULL. Views of the text. */
struct kong_url {
    struct str scheme, host, port, path;
};

/* False for the empty text only. */
bool kong_url_parse(struct str text, struct kong_url *url);
