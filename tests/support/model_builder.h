#pragma once

#include "spec/model.h"

/* Models made by hand, for tests of what comes after spec. Aborts when memory is out. */

#define MODEL_BUILDER_MAX 1024 /* entities of one kind, entries of one list */

struct model_builder {
    struct arena *arena;
    struct model model;
    struct acme acme;
    struct service services[MODEL_BUILDER_MAX];
    struct route routes[MODEL_BUILDER_MAX];
    struct certificate certificates[MODEL_BUILDER_MAX];
    struct sni snis[MODEL_BUILDER_MAX];
    struct text domains[MODEL_BUILDER_MAX];
};

/* An empty model of one file, kong.yaml, without an acme plugin. Free with model_builder_free. */
struct model_builder *model_builder_new(void);
void model_builder_free(struct model_builder *b);

/*
 * An acme plugin with Kong's defaults, terms accepted, at a CA of nobody's:
 * https://ca.test/directory. The result is for changing.
 */
struct acme *model_builder_acme(struct model_builder *b);
void model_builder_domain(struct model_builder *b, const char *name, unsigned line);
struct service *model_builder_service(struct model_builder *b, bool enabled);
/* `hosts` and `snis` are lists with blanks between; each entry has its own column. `service` may be
 * NULL. */
struct route *model_builder_route(struct model_builder *b, const struct service *service,
                                  const char *hosts, const char *snis, unsigned line);
/* A certificate entity; `tags` with blanks between. */
struct certificate *model_builder_certificate(struct model_builder *b, const char *tags);
struct sni *model_builder_sni(struct model_builder *b, const struct certificate *certificate,
                              const char *name, const char *tags, unsigned line);
/* A list of texts in the builder's memory, all on `line`. */
struct texts model_builder_texts(struct model_builder *b, const char *words, unsigned line);
