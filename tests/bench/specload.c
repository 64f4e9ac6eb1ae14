/*
 * specload FILE: what a reload makes of FILE's bytes before it looks at the state: parse, check,
 * resolve, desired. Prints seconds by the wall, seconds of CPU, how many names are desired.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "reconciler/control/load.h"
#include "reconciler/core/desired.h"
#include "spec/spec.h"

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int load(const struct source_set *set, struct arena *arena, struct desired **desired,
                struct error *e)
{
    const struct spec_source source = {.name = set->files[0].name,
                                       .bytes = {set->files[0].data, set->files[0].len},
                                       .syntax = SPEC_YAML};
    const struct spec_options options = {.vault_references = true};
    const struct desired_options wanted = {0};
    struct problems problems;
    struct model *model;
    int rc = -1;

    if (problems_init(&problems))
        return error_memory(e);
    if (spec_load(&source, 1, &options, arena, &model, &problems, e) == 0)
        rc = desired_make(model, &wanted, arena, desired, e);
    problems_fini(&problems);
    return rc;
}

int main(int argc, char **argv)
{
    const struct source_options where = {
        .paths = argv + 1, .path_count = 1, .max_bytes = SPEC_DEFAULT_MAX_BYTES};
    struct arena *arena = arena_new(&(struct arena_options){.secret = true});
    struct source_set *set = NULL;
    struct desired *desired;
    double wall, cpu;
    struct error e;
    int rc = 1;

    if (argc != 2 || !arena || source_read(&where, &set, &e))
        return 1;
    wall = seconds_of(CLOCK_MONOTONIC);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    if (load(set, arena, &desired, &e) == 0) {
        printf("%.6f %.6f %zu\n", seconds_of(CLOCK_MONOTONIC) - wall,
               seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu, desired->count);
        rc = 0;
    }
    source_free(set);
    arena_free(arena);
    return rc;
}
