#include "reconciler/core/desired.h"

#include <stdlib.h>

#include "reconciler/core/budget.h"
#include "reconciler/core/gate.h"
#include "reconciler/core/name_sort.h"
#include "reconciler/core/public_ca.h"

/* Who asks for a name: the other half of a name_item, found by its tag. */
struct asker {
    struct place place;
    enum desired_origin origin;
    const void *from; /* struct sni or struct desired_demand, by origin */
};

struct builder {
    const struct acme *acme;
    struct arena *arena;
    struct desired *out;
    struct name_item *items; /* twice `room`: the second half is for sorting */
    struct asker *askers;
    size_t count, room;
    size_t off_count; /* declared SNIs tagged acme:off */
    struct desired_name *names, *left_alone;
    struct place *places;
    enum desired_block block; /* of every name; DESIRED_FREE = none */
    bool public_ca;
    struct str *patterns; /* declared SNIs with a star, sorted, each once */
    size_t pattern_count;
};

struct str desired_directory(struct str api_uri, struct arena *arena)
{
    static const struct str bare[] = {STR_INIT("https://acme-v02.api.letsencrypt.org"),
                                      STR_INIT("https://acme-staging-v02.api.letsencrypt.org")};
    struct str host =
        str_ends(api_uri, STR("/")) ? str_slice(api_uri, 0, api_uri.len - 1) : api_uri;

    for (size_t i = 0; i < ARRAY_LENGTH(bare); i++)
        if (str_equal_nocase(host, bare[i]))
            return arena_printf(arena, "%.*s/directory", STR_ARG(host));
    return arena_str(arena, api_uri);
}

const struct desired_name *desired_find(const struct desired *desired, struct subject subject)
{
    return subject_find(desired->names, desired->count, sizeof(*desired->names), subject);
}

const struct desired_name *desired_find_left_alone(const struct desired *desired, struct str name)
{
    return subject_find(desired->left_alone, desired->left_alone_count,
                        sizeof(*desired->left_alone), subject_first(name));
}

const struct desired_name *desired_find_beside(const struct desired *desired,
                                               struct subject subject)
{
    const struct desired_name *first =
        subject.family == FAMILY_FIRST ? NULL : desired_find(desired, subject_first(subject.name));

    return first ? first : desired_find_left_alone(desired, subject.name);
}

bool desired_passes(const struct desired *desired, struct str host)
{
    const struct desired_name *name = desired_find(desired, subject_first(host));

    if (!name)
        name = desired_find_left_alone(desired, host);
    return desired->gate &&
           gate_passes(desired->gate, host, name && name->origins & DESIRED_DOMAIN);
}

static bool is_tagged_off(const struct entity *entity)
{
    for (size_t i = 0; i < entity->tags.count; i++)
        if (str_equal_cstr(entity->tags.items[i].value, DESIRED_TAG_OFF))
            return true;
    return false;
}

static bool is_left_alone(const struct sni *sni)
{
    return is_tagged_off(&sni->entity) ||
           (sni->certificate && is_tagged_off(&sni->certificate->entity));
}

/* What no handshake can name asks for nothing: no wildcard, no port, no IPv6 address. */
static void add(struct builder *b, struct str name, struct asker asker)
{
    if (!hostname_is_normal(name))
        return;
    b->items[b->count] =
        (struct name_item){.name = name.ptr, .len = (uint32_t)name.len, .tag = (uint32_t)b->count};
    b->askers[b->count++] = asker;
}

static void add_texts(struct builder *b, const struct texts *texts, enum desired_origin origin,
                      const struct route *route)
{
    for (size_t i = 0; i < texts->count; i++) {
        const struct text *text = &texts->items[i];
        struct str host = text->value, port;

        /* A route's host may name a port; the certificate that serves it does not. */
        if (origin == DESIRED_ROUTE_HOST)
            host = str_cut(host, ':', &port);
        add(b, host, (struct asker){.place = text->place, .origin = origin, .from = route});
    }
}

static bool counts(const struct route *route)
{
    return !route->service || route->service->enabled;
}

static void collect(struct builder *b, const struct model *model,
                    const struct desired_options *options)
{
    add_texts(b, &b->acme->domains, DESIRED_DOMAIN, NULL);
    for (size_t i = 0; i < model->route_count; i++) {
        const struct route *route = &model->routes[i];
        if (!counts(route))
            continue;
        add_texts(b, &route->hosts, DESIRED_ROUTE_HOST, route);
        add_texts(b, &route->snis, DESIRED_ROUTE_SNI, route);
    }
    for (size_t i = 0; i < model->sni_count; i++) {
        const struct sni *sni = &model->snis[i];
        struct asker asker = {
            .place = sni->name.place, .origin = DESIRED_CERTIFICATE_SNI, .from = sni};
        b->off_count += is_left_alone(sni);
        add(b, sni->name.value, asker);
    }
    for (size_t i = 0; i < options->demand_count; i++) {
        const struct desired_demand *demand = &options->demands[i];
        add(b, demand->name, (struct asker){.origin = DESIRED_ON_DEMAND, .from = demand});
    }
}

/* How many names may come in at most. */
static size_t room_for(const struct acme *acme, const struct model *model,
                       const struct desired_options *options)
{
    size_t room = acme->domains.count + model->sni_count + options->demand_count;

    for (size_t i = 0; i < model->route_count; i++)
        if (counts(&model->routes[i]))
            room += model->routes[i].hosts.count + model->routes[i].snis.count;
    return room;
}

enum desired_block desired_common_block(const struct acme *acme, const struct ca *ca,
                                        enum desired_block block)
{
    if (acme->unresolved.ptr || (acme->account_key && acme->account_key->unresolved.ptr))
        return DESIRED_UNRESOLVED;
    if (acme->account_key_id.value.ptr && !acme->account_key)
        return DESIRED_NO_ACCOUNT_KEY;
    if (!acme->tos_accepted && public_ca_is_lets_encrypt(ca->directory))
        return DESIRED_TOS;
    return block;
}

struct place desired_block_place(const struct acme *acme, enum desired_block block)
{
    switch (block) {
    case DESIRED_NO_ACCOUNT_KEY:
    case DESIRED_BAD_ACCOUNT_KEY:
        return acme->account_key_id.place;
    case DESIRED_TOS:
        return acme->tos_place;
    case DESIRED_STORAGE:
        return acme->storage_place;
    case DESIRED_BAD_EMAIL:
        return acme->account_email.place;
    case DESIRED_BAD_URL:
        return acme->api_uri.place;
    case DESIRED_BAD_BINDING:
        return acme->entity.place;
    default:
        return (struct place){0};
    }
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* In order, each once: an anchored list gives its place to every route that uses it. */
static size_t order_places(struct place *places, size_t count)
{
    size_t kept = 0;

    if (count < 2)
        return count;
    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 0; i < count; i++)
        if (!kept || compare_places(&places[kept - 1], &places[i]) != 0)
            places[kept++] = places[i];
    return kept;
}

static bool lacks_ca_certificate(const struct asker *asker)
{
    const struct route *route = asker->from;

    return asker->origin & (DESIRED_ROUTE_HOST | DESIRED_ROUTE_SNI) && route->service &&
           route->service->missing_ca_certificate.line;
}

/* Takes one asker into `n`; its place goes behind those that are there. */
static void merge(struct desired_name *n, const struct asker *asker, struct place *places)
{
    const struct desired_demand *demand = asker->from;

    n->origins |= asker->origin;
    if (asker->origin == DESIRED_ON_DEMAND) {
        n->last_seen_at =
            demand->last_seen_at > n->last_seen_at ? demand->last_seen_at : n->last_seen_at;
        return;
    }
    if (asker->origin == DESIRED_CERTIFICATE_SNI)
        n->overrides = asker->from;
    if (!n->block && lacks_ca_certificate(asker))
        n->block = DESIRED_NO_CA_CERTIFICATE;
    places[n->place_count++] = asker->place;
}

static bool is_over_tls(const struct asker *asker)
{
    static const struct str protocols[] = {STR_INIT("https"), STR_INIT("grpcs"), STR_INIT("tls")};
    const struct route *route = asker->from;

    if (!(asker->origin & (DESIRED_ROUTE_HOST | DESIRED_ROUTE_SNI)))
        return false;
    for (size_t i = 0; i < route->protocols.count; i++)
        for (size_t k = 0; k < ARRAY_LENGTH(protocols); k++)
            if (str_equal(route->protocols.items[i].value, protocols[k]))
                return true;
    return false;
}

static bool is_covered(const struct builder *b, struct str name)
{
    char room[HOSTNAME_ROOM];

    for (int rung = HOSTNAME_FIRST_LABEL; rung < HOSTNAME_RUNGS; rung++) {
        struct str pattern = hostname_pattern(name, (enum hostname_rung)rung, room);
        if (pattern.ptr && name_find(b->patterns, b->pattern_count, sizeof(*b->patterns), pattern))
            return true;
    }
    return false;
}

/* The gate does not let it through: worth a word where visitors get the default certificate. */
static void note_ungated(struct builder *b, const struct desired_name *n, size_t first, size_t last)
{
    bool is_asked = false;

    for (size_t i = first; i < last && !n->overrides; i++)
        is_asked |= is_over_tls(&b->askers[b->items[i].tag]);
    if (!is_asked || is_covered(b, n->subject.name))
        return;
    if (b->out->ungated_count < DESIRED_UNGATED_KEPT) {
        b->out->ungated[b->out->ungated_count] = *n;
        b->places += n->place_count;
    }
    b->out->ungated_count++;
}

/* One name from all that ask for it: items [first, last). */
static void take_group(struct builder *b, size_t first, size_t last)
{
    struct desired_name n = {.subject.name = {b->items[first].name, b->items[first].len},
                             .ca = &b->out->ca,
                             .key_type = b->out->key_type,
                             .block = b->block,
                             .places = b->places};

    for (size_t i = first; i < last; i++)
        merge(&n, &b->askers[b->items[i].tag], b->places);
    n.place_count = order_places(b->places, n.place_count);
    if (!gate_passes(b->out->gate, n.subject.name, n.origins & DESIRED_DOMAIN)) {
        note_ungated(b, &n, first, last);
        return;
    }
    b->places += n.place_count;
    if (n.overrides && is_left_alone(n.overrides)) {
        n.overrides = NULL;
        n.is_left_alone = true;
        b->left_alone[b->out->left_alone_count++] = n;
        return;
    }
    if (b->public_ca && public_ca_refuses(n.subject.name))
        n.block = DESIRED_NOT_PUBLIC;
    b->names[b->out->count++] = n;
}

static int list_patterns(struct builder *b, const struct model *model)
{
    for (size_t i = 0; i < model->sni_count; i++)
        b->pattern_count +=
            str_find(model->snis[i].name.value, '*', 0) < model->snis[i].name.value.len;
    b->patterns = arena_array(b->arena, b->pattern_count, sizeof(*b->patterns));
    if (!b->patterns)
        return -1;
    b->pattern_count = 0;
    for (size_t i = 0; i < model->sni_count; i++)
        if (str_find(model->snis[i].name.value, '*', 0) < model->snis[i].name.value.len)
            b->patterns[b->pattern_count++] = model->snis[i].name.value;
    return name_sort_unique(b->patterns, &b->pattern_count);
}

static int take_groups(struct builder *b)
{
    b->names = arena_array(b->arena, b->count, sizeof(*b->names));
    b->places = arena_array(b->arena, b->count, sizeof(*b->places));
    b->left_alone = arena_array(b->arena, b->off_count, sizeof(*b->left_alone));
    if (!b->names || !b->places || !b->left_alone)
        return -1;
    b->out->names = b->names;
    b->out->left_alone = b->left_alone;
    for (size_t first = 0, last; first < b->count; first = last) {
        struct str name = {b->items[first].name, b->items[first].len};

        for (last = first + 1; last < b->count; last++)
            if (!str_equal(name, (struct str){b->items[last].name, b->items[last].len}))
                break;
        take_group(b, first, last);
    }
    return 0;
}

static enum key_type key_type_of(const struct acme *acme)
{
    if (str_equal_cstr(acme->cert_type, "ecc"))
        return KEY_P256;
    if (acme->rsa_key_size == 2048)
        return KEY_RSA_2048;
    return acme->rsa_key_size == 3072 ? KEY_RSA_3072 : KEY_RSA_4096;
}

struct ca desired_ca(const struct acme *acme, struct str acme_server, struct arena *arena)
{
    struct ca ca = {.apart = acme_server.ptr != NULL,
                    .api_uri = acme->api_uri.value,
                    .email = acme->account_email.value,
                    .eab_kid = acme->eab_kid,
                    .eab_hmac_key = acme->eab_hmac_key,
                    .preferred_chain = acme->preferred_chain};

    ca.directory = ca.apart ? arena_str(arena, acme_server) : desired_directory(ca.api_uri, arena);
    if (acme->account_key)
        ca.account_key = acme->account_key->private_key.value.ptr
                             ? acme->account_key->private_key.value
                             : acme->account_key->jwk.value;
    return ca;
}

static int build(struct builder *b, const struct model *model,
                 const struct desired_options *options)
{
    struct budget_limits *room = arena_alloc(b->arena, sizeof(*room));
    struct desired *out = b->out;

    out->ca = desired_ca(b->acme, options->acme_server, b->arena);
    if (!room || !out->ca.directory.ptr)
        return -1;
    out->ca.limits = budget_find(options->limits, options->limit_count, out->ca.directory, room);
    out->key_type = key_type_of(b->acme);
    if (!b->acme->enabled)
        return 0;
    out->acme = b->acme;
    out->gate = gate_make(b->acme, b->arena);
    out->block = b->block = desired_common_block(b->acme, &out->ca, options->block);
    b->public_ca = public_ca_runs(out->ca.directory);
    b->room = room_for(b->acme, model, options);
    if (!out->gate || b->room > UINT32_MAX)
        return -1;
    b->items = reallocarray(NULL, b->room + 1, 2 * sizeof(*b->items));
    b->askers = reallocarray(NULL, b->room + 1, sizeof(*b->askers));
    if (!b->items || !b->askers || list_patterns(b, model))
        return -1;
    collect(b, model, options);
    name_sort(b->items, b->items + b->room, b->count);
    return take_groups(b);
}

bool desired_on_demand(const struct desired *desired, const struct desired_demand *demand,
                       struct desired_name *room)
{
    if (!hostname_is_normal(demand->name) || !desired_passes(desired, demand->name) ||
        desired_find(desired, subject_first(demand->name)) ||
        desired_find_left_alone(desired, demand->name))
        return false;
    *room = (struct desired_name){.subject = subject_first(demand->name),
                                  .ca = &desired->ca,
                                  .key_type = desired->key_type,
                                  .origins = DESIRED_ON_DEMAND,
                                  .block = desired->block,
                                  .last_seen_at = demand->last_seen_at};
    if (public_ca_runs(desired->ca.directory) && public_ca_refuses(demand->name))
        room->block = DESIRED_NOT_PUBLIC;
    return true;
}

int desired_make(const struct model *model, const struct desired_options *options,
                 struct arena *arena, struct desired **desired, struct error *e)
{
    struct builder b = {.acme = model->acme, .arena = arena};
    int rc = 0;

    b.out = arena_alloc(arena, sizeof(*b.out));
    if (b.out && model->acme)
        rc = build(&b, model, options);
    free(b.items);
    free(b.askers);
    if (!b.out || rc)
        return error_memory(e);
    if (!model->acme)
        b.out->ca.directory = STR("");
    *desired = b.out;
    return 0;
}
