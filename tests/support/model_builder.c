#include "tests/support/model_builder.h"

#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/attr.h"

static const char *const files[] = {"kong.yaml"};

struct model_builder *model_builder_new(void)
{
    struct model_builder *b = calloc(1, sizeof(*b));

    if (!b || !(b->arena = arena_new(NULL)))
        BUG("out of memory in a test");
    b->model.files = files;
    b->model.file_count = 1;
    b->model.services = b->services;
    b->model.routes = b->routes;
    b->model.certificates = b->certificates;
    b->model.snis = b->snis;
    return b;
}

void model_builder_free(struct model_builder *b)
{
    arena_free(b->arena);
    free(b);
}

struct acme *model_builder_acme(struct model_builder *b)
{
    b->acme = (struct acme){.enabled = true,
                            .api_uri = {.value = STR("https://ca.test/directory")},
                            .tos_accepted = true,
                            .cert_type = STR("ecc"),
                            .rsa_key_size = 4096,
                            .renew_threshold_days = 14,
                            .fail_backoff_minutes = 5,
                            .domains = {.items = b->domains},
                            .enable_ipv4_common_name = true,
                            .entity = {.place = {0, 2, 3}}};
    b->model.acme = &b->acme;
    return &b->acme;
}

static size_t take(size_t *count)
{
    if (*count == MODEL_BUILDER_MAX)
        BUG("a test's model is too large");
    return (*count)++;
}

void model_builder_domain(struct model_builder *b, const char *name, unsigned line)
{
    struct text *text = &b->domains[take(&b->acme.domains.count)];

    *text = (struct text){arena_str(b->arena, str_from(name)), {0, line, 9}};
    b->acme.domains.is_set = true;
}

struct service *model_builder_service(struct model_builder *b, bool enabled)
{
    struct service *service = &b->services[take(&b->model.service_count)];

    service->enabled = enabled;
    return service;
}

struct texts model_builder_texts(struct model_builder *b, const char *words, unsigned line)
{
    struct str rest = arena_str(b->arena, str_from(words));
    size_t room = rest.len / 2 + 1;
    struct text *items = arena_array(b->arena, room, sizeof(*items));
    struct texts texts = {.items = items, .is_set = true};

    for (uint32_t column = 9; rest.ptr; column++) {
        struct str word = str_cut(rest, ' ', &rest);
        if (word.len)
            items[texts.count++] = (struct text){word, {0, line, column}};
    }
    return texts;
}

struct route *model_builder_route(struct model_builder *b, const struct service *service,
                                  const char *hosts, const char *snis, unsigned line)
{
    struct route *route = &b->routes[take(&b->model.route_count)];

    route->service = service;
    route->hosts = model_builder_texts(b, hosts, line);
    route->snis = model_builder_texts(b, snis, line + 1);
    return route;
}

struct certificate *model_builder_certificate(struct model_builder *b, const char *tags)
{
    struct certificate *certificate = &b->certificates[take(&b->model.certificate_count)];

    certificate->entity.tags = model_builder_texts(b, tags, 1);
    return certificate;
}

struct sni *model_builder_sni(struct model_builder *b, const struct certificate *certificate,
                              const char *name, const char *tags, unsigned line)
{
    struct sni *sni = &b->snis[take(&b->model.sni_count)];

    sni->entity.tags = model_builder_texts(b, tags, line);
    sni->name = (struct text){arena_str(b->arena, str_from(name)), {0, line, 11}};
    sni->certificate = certificate;
    return sni;
}
