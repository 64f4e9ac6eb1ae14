#ifndef SUPPORT_STORAGE_CONTRACT_H
#define SUPPORT_STORAGE_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/storage/storage.h"

/* What every adapter of storage.h has to pass. */

struct contract_adapter {
    const char *name;
    /* An empty storage of its own for each test: how it is opened, and what lies behind it. */
    void *(*make)(struct storage_options *options);
    void (*destroy)(void *place);
    /* The next value that is written fails, once. */
    void (*fail_next)(void *place);
    /* Nothing is answered until it is let go on. */
    void (*hold)(void *place, bool holds);
    /* It is away, or back; NULL: it cannot tell of itself. */
    void (*away)(void *place, bool is_away);
    bool is_shared;  /* several may have it open, and hear of each other */
    bool can_vanish; /* `vanish` takes it away from under who has it open */
    void (*vanish)(void *place);
};

/* Adds the suite to CUnit's registry; one adapter at a time may run. */
void storage_contract_add(const struct contract_adapter *adapter);

#endif
