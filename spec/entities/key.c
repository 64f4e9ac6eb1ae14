#include "entity.h"

#include "spec/fault.h"
#include "spec/json.h"
#include "spec/spec.h"

enum key_field { KEY_NAME, KEY_KID, KEY_SET, KEY_JWK, KEY_PEM };

static const struct schema_field fields[] = {
    [KEY_NAME] = {"name", SCHEMA_STRING, "What others call it by.", .flags = SCHEMA_UNIQUE,
                  SCHEMA_KEPT(STORE_STR, struct key, name)},
    [KEY_KID] = {"kid", SCHEMA_STRING, "The key's id, which account_key.key_id of acme names.",
                 .flags = SCHEMA_REQUIRED, SCHEMA_KEPT(STORE_STR, struct key, kid)},
    [KEY_SET] = {"set", SCHEMA_FOREIGN, "Name or id of its key set.", .refers_to = ENTITY_KEY_SET,
                 SCHEMA_KEPT(STORE_POINTER, struct key, set)},
    [KEY_JWK] = {"jwk", SCHEMA_STRING, "The key as JSON Web Key, in a string. This or pem.",
                 .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
                 SCHEMA_KEPT(STORE_TEXT, struct key, jwk)},
    [KEY_PEM] = {"pem", SCHEMA_RECORD, "The key as PEM. This or jwk.", .record = &entity_key_pem,
                 .store = STORE_RECORD},
};

static const struct schema_rule rules[] = {
    {.kind = RULE_AT_MOST_ONE, .fields = {KEY_JWK, KEY_PEM}, .count = 2},
    {.kind = RULE_AT_LEAST_ONE, .fields = {KEY_JWK, KEY_PEM}, .count = 2},
};

/* The object that a jwk string holds, or NULL. Its names are in *names. */
static bool read_jwk(struct schema_context *c, struct str text, struct document_node *root)
{
    struct problems ignored;
    struct document_options options = {.names = c->index->names,
                                       .strings = c->scratch,
                                       .nodes = c->scratch,
                                       .problems = &ignored,
                                       .limits = document_limits_default()};
    struct error e;
    bool is_read;

    if (problems_init(&ignored)) {
        c->is_out_of_memory = true;
        return false;
    }
    is_read = json_parse(&options, text, root, &e) == 0;
    c->is_out_of_memory |= !is_read && e.kind == ERROR_MEMORY;
    problems_fini(&ignored);
    return is_read;
}

static bool is_one_of(const char *const *list, struct str name)
{
    while (*list && !str_equal_cstr(name, *list))
        list++;
    return *list != NULL;
}

/* Kong's table for a JWK: strings all, but for two lists of strings. */
static const char *jwk_member_fault(struct str name, const struct document_node *n)
{
    static const char *const strings[] = {
        "issuer", "kty", "use", "alg", "kid", "x5u", "x5t", "x5t#S256", "k",   "x", "y", "crv",
        "n",      "e",   "d",   "p",   "q",   "dp",  "dq",  "qi",       "oth", "r", "t", NULL};
    static const char *const lists[] = {"key_ops", "x5c", NULL};

    if (is_one_of(strings, name))
        return n->kind == DOCUMENT_STRING || n->kind == DOCUMENT_NULL ? NULL : "expected a string";
    if (is_one_of(lists, name))
        return n->kind == DOCUMENT_NULL || document_is_list(n) ? NULL : "expected an array";
    return "unknown field";
}

static void check_jwk_members(struct schema_context *c, const struct document_node *jwk,
                              const struct document_node *node, const struct schema_frame *at)
{
    const struct document_key *keys = document_keys(jwk);

    for (uint32_t i = 0; i < jwk->count; i++) {
        struct str name = names_text(c->index->names, keys[i].name);
        const char *fault = jwk_member_fault(name, &jwk->as.items[i]);

        if (fault) {
            fault_add_entity(c, at, document_place(node), "Validation error: %.*s: %s",
                             STR_ARG(name), fault);
            return;
        }
    }
}

static struct str jwk_text(const struct schema_context *c, const struct document_node *jwk,
                           const char *name)
{
    const struct document_node *n = document_get(jwk, names_find(c->index->names, str_from(name)));

    return n && n->kind == DOCUMENT_STRING ? document_text(n) : STR_NONE;
}

/* Does it have what its kind of key needs (RFC 7518 section 6, RFC 8037 section 2)? */
static bool is_whole_jwk(const struct schema_context *c, const struct document_node *jwk)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521", NULL};
    static const char *const okp_curves[] = {"Ed25519", "X25519", "Ed448", "X448", NULL};
    struct str kty = jwk_text(c, jwk, "kty"), curve = jwk_text(c, jwk, "crv");
    bool has_x = jwk_text(c, jwk, "x").ptr;

    if (str_equal(kty, STR("RSA")))
        return jwk_text(c, jwk, "n").ptr && jwk_text(c, jwk, "e").ptr;
    if (str_equal(kty, STR("EC")))
        return is_one_of(curves, curve) && has_x && jwk_text(c, jwk, "y").ptr;
    if (str_equal(kty, STR("OKP")))
        return is_one_of(okp_curves, curve) && (has_x || jwk_text(c, jwk, "d").ptr);
    return str_equal(kty, STR("oct"));
}

static void check_jwk(struct schema_context *c, const struct schema_view *v,
                      const struct schema_frame *at)
{
    const struct document_node *n = v->slots[KEY_JWK], *kid = v->slots[KEY_KID], *inner = NULL;
    struct document_node root = {.kind = DOCUMENT_NULL};

    if (!n || n->kind != DOCUMENT_STRING || v->failed >> KEY_JWK & 1 || v->failed >> KEY_KID & 1 ||
        schema_is_reference(document_text(n)))
        return;
    if (!read_jwk(c, document_text(n), &root)) {
        fault_add_entity(c, at, document_place(v->node), "could not json decode jwk string");
        return;
    }
    inner = document_get(&root, names_find(c->index->names, STR("kid")));
    if (!inner || inner->kind != DOCUMENT_STRING || !kid ||
        !str_equal(document_text(inner), document_text(kid)))
        fault_add_entity(c, at, document_place(v->node),
                         "kid in jwk.kid must be equal to keys.kid");
    else if (!is_whole_jwk(c, &root))
        fault_add_entity(c, at, document_place(v->node),
                         "could not load JWK, likely not a valid key");
    else
        check_jwk_members(c, &root, v->node, at);
}

static void check(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at)
{
    struct key *key = into;

    if (key) {
        key->unresolved = c->unresolved;
        key->unresolved_place = c->unresolved_place;
    }
    check_jwk(c, v, at);
}

const struct schema_record entity_key = {"keys",
                                         ENTITY_KEY,
                                         "A key, for instance of an ACME account.",
                                         SCHEMA_FIELDS(fields),
                                         SCHEMA_RULES(rules),
                                         .is_entity = true,
                                         .check = check};

enum pem_field { PEM_PRIVATE_KEY, PEM_PUBLIC_KEY };

/* The part is stored into the key itself: offsets are those of struct key. */
static const struct schema_field pem_fields[] = {
    [PEM_PRIVATE_KEY] = {"private_key", SCHEMA_STRING, "The private key in PEM.",
                         .flags = SCHEMA_REFERENCEABLE | SCHEMA_SECRET,
                         SCHEMA_KEPT(STORE_TEXT, struct key, private_key)},
    [PEM_PUBLIC_KEY] = {"public_key", SCHEMA_STRING, "The public key in PEM.",
                        .flags = SCHEMA_REFERENCEABLE,
                        SCHEMA_KEPT(STORE_TEXT, struct key, public_key)},
};

static const struct schema_rule pem_rules[] = {
    {.kind = RULE_AT_LEAST_ONE, .fields = {PEM_PRIVATE_KEY, PEM_PUBLIC_KEY}, .count = 2},
};

static struct str text_of(const struct schema_view *v, unsigned i)
{
    const struct document_node *n = v->slots[i];

    return n && n->kind == DOCUMENT_STRING && n->count ? document_text(n) : STR_NONE;
}

static void check_pem(struct schema_context *c, struct schema_view *v, void *into,
                      const struct schema_frame *at)
{
    const struct spec_outside *outside = &c->options->outside;
    struct str private_key = text_of(v, PEM_PRIVATE_KEY);
    struct str public_key = text_of(v, PEM_PUBLIC_KEY);
    const char *field = "";
    struct error e;

    (void)into;
    if (v->failed || !outside->check_key || (!private_key.ptr && !public_key.ptr))
        return;
    if ((private_key.ptr && schema_is_reference(private_key)) ||
        (public_key.ptr && schema_is_reference(public_key)))
        return;
    if (outside->check_key(outside->context, private_key, public_key, &field, &e))
        fault_add(c, at, document_place(v->node), "%s", e.message);
}

const struct schema_record entity_key_pem = {"keys.pem",
                                             PART_KEY_PEM,
                                             "A key pair in PEM, or one half of it.",
                                             SCHEMA_FIELDS(pem_fields),
                                             SCHEMA_RULES(pem_rules),
                                             .check = check_pem};

static const struct schema_field set_fields[] = {
    {"name", SCHEMA_STRING, "What keys and account_key.key_set of acme call it by.",
     .flags = SCHEMA_UNIQUE, SCHEMA_KEPT(STORE_STR, struct key_set, name)},
};

const struct schema_record entity_key_set = {"key_sets", ENTITY_KEY_SET, "A group of keys.",
                                             SCHEMA_FIELDS(set_fields), .is_entity = true};
