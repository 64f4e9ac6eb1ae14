#pragma once

#include "reconciler/core/explain.h"
#include "reconciler/core/explanation.h"
#include "reconciler/core/gate.h"

/* What explain says, link by link, once everything has been looked up. */

/* All that is known about the name. */
struct explain_subject {
    const struct explain_options *options;
    struct arena *arena;
    struct str name; /* lower case, without port and final dot */
    const struct desired_name *left_alone;
    /* Of the key family that is being told. */
    const struct desired_name *desired;
    const struct observed_name *observed;
    struct action action; /* PLAN_NOTHING: it is neither desired nor active */
    /* Of the name. */
    enum hostname_passage gate;
    const struct text *gate_entry;
    struct explain_choice choice;
    const struct sni *declared; /* the SNI of that very name */
    struct explanation chain;
};

/*
 * Fills s->chain: with the first family what is to be said of the name, with others their own
 * certificates. What fails on the way shows when the chain is printed.
 */
void explain_chain_say(struct explain_subject *s, enum key_family family);
