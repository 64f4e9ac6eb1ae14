#pragma once

#include <stdbool.h>

#include "reconciler/base/str.h"

/* One link of a Link header (RFC 8288 §3). */
struct acme_link {
    struct str target; /* as it stands between <>: may be relative */
    bool is_alternate; /* one of its relation types is "alternate", and its context is the answer */
};

/* Takes the next link off a header's value; false behind the last. What is no link is passed over.
 */
bool acme_link_next(struct str *rest, struct acme_link *link);
