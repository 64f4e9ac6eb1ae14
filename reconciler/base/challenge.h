#ifndef BASE_CHALLENGE_H
#define BASE_CHALLENGE_H

#include "challenge_kind.h"
#include "str.h"

/* What a CA is to find when it validates a name. All are views. */
struct challenge {
    enum challenge_kind kind;
    struct str name;
    struct str token;
    struct str payload; /* the key authorization */
};

#endif
