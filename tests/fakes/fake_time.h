#pragma once

#include <stdint.h>

/*
 * The clocks of this program, libevent's among them, stand still until they are told to go on: an
 * hour passes in a moment, and a slow machine changes nothing. A program that links this has it.
 */

/* Both clocks go on by so much. */
void fake_time_pass(int64_t ms);
/* Somebody sets the machine's clock to `seconds`; the steady one does not notice. */
void fake_time_set(int64_t seconds);
