#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/detail.h"
#include "spec/flatten.h"
#include "spec/json.h"
#include "spec/kong_error.h"
#include "spec/names.h"
#include "spec/resolve.h"
#include "spec/spec.h"

/*
 * Any bytes as a configuration, the first one choosing the options: a model whose parts belong
 * together, or problems; and whatever is printed of either is JSON.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str environment(void *context, struct str name)
{
    (void)context;
    return name.len % 2 ? STR("{\"a\":\"b\"}") : STR_NONE;
}

static void check_json(struct str text)
{
    struct arena *arena = arena_new(NULL);
    struct names names;
    struct problems problems;
    struct document_options options = {.names = &names,
                                       .strings = arena,
                                       .nodes = arena,
                                       .problems = &problems,
                                       .limits = document_limits_default()};
    struct document_node root;
    struct error e;

    options.limits.depth = 2 * DOCUMENT_DEPTH_MAX; /* entities stand inside of what is printed */
    if (!arena || names_init(&names, arena) || problems_init(&problems) ||
        json_parse(&options, text, &root, &e))
        abort();
    names_fini(&names);
    problems_fini(&problems);
    arena_free(arena);
}

static bool is_among(const void *one, const void *first, size_t count, size_t size)
{
    const char *p = one, *from = first;

    return !one || (p >= from && p < from + count * size && (size_t)(p - from) % size == 0);
}

static void check_model(const struct model *m, const struct catalog *c)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (!is_among(m->routes[i].service, m->services, m->service_count, sizeof(*m->services)) ||
            strlen(resolve_id_of(c, (struct catalog_ref){(uint32_t)i, ENTITY_ROUTE})) != 36 ||
            !m->routes[i].protocols.count)
            abort();
    for (size_t i = 0; i < m->sni_count; i++)
        if (!m->snis[i].name.value.len || !m->snis[i].certificate ||
            !is_among(m->snis[i].certificate, m->certificates, m->certificate_count,
                      sizeof(*m->certificates)))
            abort();
    for (size_t i = 0; i < m->service_count; i++)
        if (!m->services[i].host.value.len || !m->services[i].protocol.len ||
            m->services[i].port < 0 || m->services[i].port > 65535)
            abort();
    if (m->acme && (!is_among(m->acme->account_key, m->keys, m->key_count, sizeof(*m->keys)) ||
                    (!m->acme->account_email.value.len && !m->acme->unresolved.ptr)))
        abort();
}

static void check_prints(struct spec_detail *detail, const struct model *model,
                         const struct problems *problems)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    struct json_out out = json_out_compact(&text);
    struct error e;

    kong_error_print_flattened(detail, problems, &out);
    check_json(buf_view(&text));
    if (model) {
        buf_clear(&text);
        out = json_out_compact(&text);
        if (flatten_print(detail, &out, &e))
            abort();
        check_json(buf_view(&text));
    }
    buf_clear(&text);
    problems_print_text(problems, &text);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spec_options options = {.outside = {.environment = environment}};
    struct spec_source source = {.name = "-"};
    struct arena *arena = arena_new(NULL);
    struct spec_detail *detail = spec_detail_new();
    struct problems problems;
    struct model *model = NULL;
    struct error e;

    if (!arena || !detail || problems_init(&problems))
        abort();
    if (size) {
        options.deck_env = data[0] & 1;
        options.vault_references = data[0] & 2;
        options.lint = data[0] & 4;
        source.bytes = (struct str){(const char *)data + 1, size - 1};
    }
    if (spec_load_detail(&source, 1, &options, arena, &model, &problems, detail, &e)) {
        if (model || !problems.error_count)
            abort();
    } else {
        check_model(model, &detail->catalog);
    }
    check_prints(detail, model, &problems);
    spec_detail_free(detail);
    problems_fini(&problems);
    arena_free(arena);
    return 0;
}
