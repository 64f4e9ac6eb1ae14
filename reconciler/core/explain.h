#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/core/plan.h"

/*
 * Why a name is in the state that it is in: declared where, through which gate, which certificate
 * is served now and why that one, what it overrides, what the CA said, what happens next and when.
 * Pure.
 */

/* Which certificate a handshake for a name gets (Kong's order, managed over declared; design 5). */
enum explain_served {
    SERVED_MANAGED,        /* ours */
    SERVED_MANAGED_STALE,  /* ours though it is not valid: nothing declared covers the name */
    SERVED_EXACT,          /* the declared SNI of that very name */
    SERVED_FIRST_WILDCARD, /* "*.rest" */
    SERVED_LAST_WILDCARD,  /* "rest.*" */
    SERVED_STAR,           /* "*" */
    SERVED_DEFAULT         /* ssl_cert, or the self-signed one */
};

struct explain_choice {
    enum explain_served served;
    const struct sni *sni;    /* the declared one; NULL for managed and default */
    const struct sni *passed; /* the declared one that came before it and gives way; or NULL */
};

struct explain_options {
    const struct model *model;
    const struct desired *desired;
    const struct observed *observed;
    const struct policy *policy;
    const struct plan *plan; /* whose decision is explained */
    int64_t now;
};

/* Is one of its certificates, of either key type, valid? With a wrong clock every one is. */
bool explain_is_valid(const struct certificate *certificate, const struct policy *policy,
                      int64_t now);
/*
 * A declared certificate that is not valid now gives way where Kong's order has, further down, one
 * that is: "*.example.com" or "*" in place of "www.example.com". Never to the default certificate.
 */
bool explain_gives_way(const struct model *model, const struct sni *sni,
                       const struct policy *policy, int64_t now);
/*
 * `observed` may be NULL. Looks through model->snis, passing over certificates with an unresolved
 * reference: they cannot be served.
 */
struct explain_choice explain_choose(const struct model *model, struct str name,
                                     const struct observed_name *observed,
                                     const struct policy *policy, int64_t now);

/*
 * A name as people write it, as the file has it: in lower case, without blanks around, a final dot
 * or a port. In `arena`; ptr NULL: out of memory.
 */
struct str explain_normal_name(struct str name, struct arena *arena) MUST_CHECK;
/* Could a normal name be a host name, a pattern of them, or an address? */
bool explain_is_name(struct str name);

/*
 * The chain for `name` as given by a person: any case, a trailing dot and a port are forgiven, a
 * wildcard and an IP literal are explained too. 0, or -1 (memory, or the buffer is full).
 */
int explain_name_text(struct str name, const struct explain_options *options, struct buf *out,
                      struct error *e) MUST_CHECK;
int explain_name_json(struct str name, const struct explain_options *options, struct buf *out,
                      struct error *e) MUST_CHECK;
