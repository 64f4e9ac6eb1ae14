#ifndef BASE_CHALLENGE_H
#define BASE_CHALLENGE_H

#include "str.h"

/* What a CA is to find when it validates a name (RFC 8555 §8, RFC 8737). All are views. */
enum challenge_kind { CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 };

struct challenge {
    enum challenge_kind kind;
    struct str name;
    struct str token;
    struct str payload; /* the key authorization */
};

#endif
