/*
 * ymlscan FILE: seconds, by the wall and of CPU, that libyaml needs to hand out all events of FILE,
 * and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yaml.h>

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = NULL;
    long n = 0;

    if (f && fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) > 0) {
        rewind(f);
        bytes = malloc((size_t)n);
        if (bytes && fread(bytes, 1, (size_t)n, f) != (size_t)n)
            n = 0;
    }
    if (f)
        fclose(f);
    *size = (size_t)n;
    return bytes;
}

int main(int argc, char **argv)
{
    size_t size = 0;
    unsigned char *bytes = argc > 1 ? read_all(argv[1], &size) : NULL;
    yaml_parser_t parser;
    yaml_event_t event;
    double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    int is_last = 0;

    if (!bytes || !size || !yaml_parser_initialize(&parser))
        return 1;
    yaml_parser_set_input_string(&parser, bytes, size);
    while (!is_last) {
        if (!yaml_parser_parse(&parser, &event))
            return 1;
        is_last = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    printf("%.6f %.6f\n", seconds_of(CLOCK_MONOTONIC) - wall,
           seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    yaml_parser_delete(&parser);
    free(bytes);
    return 0;
}
