/*
 * Runs a folder of conformance cases for the declarative format: accept/ must load, and flatten to
 * what NAME.flat.json says; reject/ must be refused with what NAME.expect says, and
 * NAME.flattened.json found among our flattened errors. usage: run_cases FOLDER
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/json_out.h"
#include "reconciler/pki/check.h"
#include "spec/flatten.h"
#include "spec/kong_error.h"
#include "spec/spec.h"

#define FILE_MAX ((size_t)64 << 20)
#define OUTPUT_MAX ((size_t)256 << 20)

/* What we do otherwise than Kong on purpose: the README's table says why. */
static const struct {
    const char *name, *why;
} deviations[] = {
    {"quirk-acme-nested-in-service", "refused: acme works for the whole file"},
    {"quirk-same-plugin-nested-and-top-level", "refused: one plugin twice for one service"},
    {"yaml-duplicate-key-last-wins", "refused: a key twice in one map"},
    {"quirk-plugins-on-two-services-by-id-table", "taken: the two services differ"},
};

struct totals {
    unsigned passed, failed, skipped;
};

/* One loaded case. */
struct load {
    char *bytes;
    struct arena *arena;
    struct problems problems;
    struct spec_detail *detail;
    struct model *model;
    struct error error;
    int rc;
};

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *bytes = f ? malloc(FILE_MAX) : NULL;

    if (bytes) {
        *len = fread(bytes, 1, FILE_MAX - 1, f);
        bytes[*len] = '\0';
    }
    if (f)
        fclose(f);
    return bytes;
}

static int check_ca(void *context, struct str cert, struct error *e)
{
    BIO *bio = BIO_new_mem_buf(cert.ptr, (int)cert.len);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int rc = 0;

    (void)context;
    if (x && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        rc = error_set(e, ERROR_INVALID, "certificate expired, \"Not After\" time is in the past");
    else if (x && !(X509_get_extension_flags(x) & EXFLAG_CA))
        rc = error_set(e, ERROR_INVALID,
                       "certificate does not appear to be a CA because it is missing the \"CA\" "
                       "basic constraint");
    X509_free(x);
    BIO_free(bio);
    return rc;
}

static bool open_load(struct load *l, const char *path, const char *name)
{
    struct spec_options options = {
        .outside = {.check_certificate = pki_check_certificate,
                    .check_key = pki_check_key,
                    .certificate_algorithm = pki_certificate_algorithm,
                    .check_ca_certificate = check_ca},
    };
    struct spec_source source = {.name = name};
    size_t len = 0;

    *l = (struct load){.rc = -1};
    l->bytes = read_file(path, &len);
    l->arena = arena_new(NULL);
    l->detail = spec_detail_new();
    if (!l->bytes || !l->arena || !l->detail || problems_init(&l->problems))
        return false;
    source.bytes = (struct str){l->bytes, len};
    l->rc = spec_load_detail(&source, 1, &options, l->arena, &l->model, &l->problems, l->detail,
                             &l->error);
    return true;
}

static void close_load(struct load *l)
{
    spec_detail_free(l->detail);
    problems_fini(&l->problems);
    arena_free(l->arena);
    free(l->bytes);
}

static bool is_one_of_many(const cJSON *item, const cJSON *list)
{
    const cJSON *other;

    cJSON_ArrayForEach(other, list) if (cJSON_Compare(item, other, true)) return true;
    return false;
}

/* Lists of entities, whose order means nothing. */
static bool same_items(const cJSON *a, const cJSON *b)
{
    const cJSON *item;

    if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
        return false;
    cJSON_ArrayForEach(item, a) if (!is_one_of_many(item, b)) return false;
    cJSON_ArrayForEach(item, b) if (!is_one_of_many(item, a)) return false;
    return true;
}

static void print_differences(const cJSON *wanted, const cJSON *got)
{
    const cJSON *item;
    char *text;

    cJSON_ArrayForEach(item, wanted) if (!is_one_of_many(item, got))
    {
        text = cJSON_PrintUnformatted(item);
        printf("    wanted %.600s\n", text);
        free(text);
    }
    cJSON_ArrayForEach(item, got) if (!is_one_of_many(item, wanted))
    {
        text = cJSON_PrintUnformatted(item);
        printf("    got    %.600s\n", text);
        free(text);
    }
}

static bool same_entities(const cJSON *wanted, const cJSON *got)
{
    bool is_same = cJSON_GetArraySize(wanted) == cJSON_GetArraySize(got);
    const cJSON *list;

    cJSON_ArrayForEach(list, wanted)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(got, list->string);

        if (!other || !same_items(list, other)) {
            printf("    list %s differs\n", list->string);
            print_differences(list, other);
            is_same = false;
        }
    }
    return is_same;
}

static cJSON *read_json(const char *folder, const char *name, const char *ending)
{
    char path[1024];
    size_t len;
    char *bytes;
    cJSON *json;

    snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
    bytes = read_file(path, &len);
    json = bytes ? cJSON_Parse(bytes) : NULL;
    free(bytes);
    return json;
}

static void print_problems(const struct load *l)
{
    struct buf text = BUF_INIT(OUTPUT_MAX);

    problems_print_text(&l->problems, &text);
    printf("%.*s", STR_ARG(buf_view(&text)));
    buf_free(&text);
}

static bool passes_accept(struct load *l, const char *folder, const char *name)
{
    struct buf text = BUF_INIT(OUTPUT_MAX);
    struct json_out out = json_out_compact(&text);
    cJSON *wanted = read_json(folder, name, ".flat.json"), *got = NULL;
    struct error e;
    bool passed = false;

    if (l->rc) {
        print_problems(l);
    } else if (!wanted || flatten_print(l->detail, &out, &e)) {
        printf("    cannot compare\n");
    } else {
        got = cJSON_Parse(text.data);
        passed = got && same_entities(wanted, got);
    }
    cJSON_Delete(wanted);
    cJSON_Delete(got);
    buf_free(&text);
    return passed;
}

static bool has_message(const struct problems *problems, struct str wanted)
{
    for (size_t i = 0; i < problems->count; i++) {
        struct str message = problems->items[i].message;

        if (problems->items[i].severity == PROBLEM_ERROR &&
            memmem(message.ptr, message.len, wanted.ptr, wanted.len))
            return true;
    }
    return false;
}

static bool finds_expected(const struct load *l, const char *folder, const char *name)
{
    char path[1024];
    size_t len;
    char *bytes;
    struct str rest;
    bool passed = true;

    snprintf(path, sizeof(path), "%s/%s.expect", folder, name);
    bytes = read_file(path, &len);
    if (!bytes)
        return false;
    rest = (struct str){bytes, len};
    while (rest.ptr) {
        struct str line = str_cut(rest, '\n', &rest), wanted;

        str_cut(line, '\t', &wanted);
        if (!line.len || line.ptr[0] == '#' || !wanted.ptr)
            continue;
        if (!has_message(&l->problems, wanted)) {
            printf("    not said: %.*s\n", STR_ARG(line));
            passed = false;
        }
    }
    free(bytes);
    return passed;
}

/* `id`, `name` and so on of two entries, absent in both or equal. */
static bool same_member(const cJSON *a, const cJSON *b, const char *name)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, name);
    const cJSON *y = cJSON_GetObjectItemCaseSensitive(b, name);

    return (!x && !y) || (x && y && cJSON_Compare(x, y, true));
}

/* Texts of OpenSSL behind these words are not ours to repeat. */
static bool same_error(const cJSON *a, const cJSON *b)
{
    static const char *const prefixes[] = {
        "invalid certificate: ", "invalid key: ", "invalid regex: "};
    const char *x = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(a, "message"));
    const char *y = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(b, "message"));

    if (!same_member(a, b, "type") || !same_member(a, b, "field") || !x || !y)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++)
        if (strncmp(x, prefixes[i], strlen(prefixes[i])) == 0)
            return strncmp(y, prefixes[i], strlen(prefixes[i])) == 0;
    return strcmp(x, y) == 0;
}

static bool has_errors_of(const cJSON *wanted, const cJSON *got)
{
    const cJSON *a, *b;

    cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(wanted, "errors"))
    {
        bool found = false;

        cJSON_ArrayForEach(b, cJSON_GetObjectItemCaseSensitive(got, "errors")) found |=
            same_error(a, b);
        if (!found)
            return false;
    }
    return true;
}

static bool same_entry(const cJSON *a, const cJSON *b)
{
    return same_member(a, b, "entity_type") && same_member(a, b, "entity_id") &&
           same_member(a, b, "entity_name") && same_member(a, b, "entity_tags") &&
           same_member(a, b, "entity") && has_errors_of(a, b) && has_errors_of(b, a);
}

static bool flattens_errors(const struct load *l, const char *folder, const char *name)
{
    cJSON *wanted = read_json(folder, name, ".flattened.json"), *got;
    struct buf text = BUF_INIT(OUTPUT_MAX);
    struct json_out out = json_out_compact(&text);
    const cJSON *a, *b;
    bool passed = true;

    if (!wanted)
        return true;
    kong_error_print_flattened(l->detail, &l->problems, &out);
    got = cJSON_Parse(text.data);
    cJSON_ArrayForEach(a, cJSON_GetObjectItemCaseSensitive(wanted, "flattened_errors"))
    {
        bool found = false;

        cJSON_ArrayForEach(b, got) found |= same_entry(a, b);
        if (!found) {
            char *entry = cJSON_PrintUnformatted(a);

            printf("    not in the flattened errors: %.400s\n    which are: %.600s\n", entry,
                   text.data);
            free(entry);
            passed = false;
        }
    }
    cJSON_Delete(wanted);
    cJSON_Delete(got);
    buf_free(&text);
    return passed;
}

static bool passes_reject(struct load *l, const char *folder, const char *name)
{
    bool said, flattened;

    if (!l->rc) {
        printf("    was taken\n");
        return false;
    }
    said = finds_expected(l, folder, name);
    flattened = flattens_errors(l, folder, name);
    if (!said)
        print_problems(l);
    return said && flattened;
}

static const char *deviation(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(deviations); i++)
        if (strcmp(deviations[i].name, name) == 0)
            return deviations[i].why;
    return NULL;
}

static void run_case(struct totals *t, const char *folder, const char *file, bool is_accept)
{
    char path[1024], name[256];
    const char *why;
    struct load l;
    bool passed;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    snprintf(name, sizeof(name), "%.*s", (int)(strrchr(file, '.') - file), file);
    why = deviation(name);
    if (!open_load(&l, path, file)) {
        printf("FAILED %s: cannot be read\n", path);
        t->failed++;
    } else if (why) {
        bool as_said = is_accept ? l.rc != 0 : l.rc == 0;

        printf("%s %s: deviation: %s\n", as_said ? "skipped" : "FAILED", name, why);
        *(as_said ? &t->skipped : &t->failed) += 1;
    } else {
        passed = is_accept ? passes_accept(&l, folder, name) : passes_reject(&l, folder, name);
        if (!passed)
            printf("FAILED %s\n", path);
        *(passed ? &t->passed : &t->failed) += 1;
    }
    close_load(&l);
}

static bool is_case(const struct dirent *entry)
{
    struct str name = str_from(entry->d_name);

    return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
           (str_ends(name, STR(".json")) && !str_ends(name, STR(".flat.json")) &&
            !str_ends(name, STR(".flattened.json")));
}

static int only_cases(const struct dirent *entry)
{
    return is_case(entry);
}

static void run_folder(struct totals *t, const char *cases, const char *kind)
{
    char folder[512];
    struct dirent **entries = NULL;
    int count;

    snprintf(folder, sizeof(folder), "%s/%s", cases, kind);
    count = scandir(folder, &entries, only_cases, alphasort);
    for (int i = 0; i < count; i++) {
        run_case(t, folder, entries[i]->d_name, strcmp(kind, "accept") == 0);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct totals t = {0};

    if (argc != 2) {
        fprintf(stderr, "usage: run_cases FOLDER\n");
        return 64;
    }
    run_folder(&t, argv[1], "accept");
    run_folder(&t, argv[1], "reject");
    printf("conformance: %u passed, %u failed, %u skipped\n", t.passed, t.failed, t.skipped);
    return t.failed || !t.passed;
}
