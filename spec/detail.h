#pragma once

#include "spec/catalog.h"
#include "spec/names.h"
#include "spec/reference.h"
#include "spec/schema.h"
#include "spec/spec.h"

/* Everything of one load that the model does not keep; what flatten.h and kong_error.h print from.
 */
struct spec_detail {
    struct arena *scratch;
    struct names names;
    struct schema_index index;
    struct schema_context context;
    struct spec_options options;
    struct reference_table references;
    struct mask_values outside; /* what decK's variables gave */
    struct catalog catalog;
};
