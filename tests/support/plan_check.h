#pragma once

#include "reconciler/core/plan.h"

/* One name before plan_decide: a certificate of 90 days from our CA, and what is expected. */

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000)

extern const struct policy plan_check_policy;
extern const struct ca plan_check_ca;
extern const struct desired_name plan_check_wanted; /* a.test, by the plugin's domains */

/* A certificate of a.test, served, of whose 90 days `age` have passed. */
struct observed_name plan_check_aged(int age);
struct action plan_check_decide(const struct desired_name *desired,
                                const struct observed_name *observed);
void plan_check(struct action a, enum plan_action action, enum plan_action wants,
                enum plan_reason reason, int64_t at, const char *state);
