#ifndef FAKES_FAKE_TIME_H
#define FAKES_FAKE_TIME_H

#include <stdint.h>

/*
 * The clocks of this program, libevent's among them, run as the machine's do, but ahead by what is
 * said here: an hour passes in a moment. A program that links this has it.
 */

/* Everything waits on: both clocks go on by so much. */
void fake_time_pass(int64_t ms);
/* Somebody sets the machine's clock to `seconds`; the steady one does not notice. */
void fake_time_set(int64_t seconds);

#endif
