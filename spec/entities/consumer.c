#include "entity.h"

#include "spec/fault.h"
#include "spec/spec.h"
#include "spec/kong_url.h"

/* Consumers and their credentials. Nothing here looks a credential up: they are checked and kept.
 */

static const struct schema_field consumer_fields[] = {
    {"username", SCHEMA_STRING, "What others call it by. This, custom_id or both.",
     .flags = SCHEMA_UNIQUE, SCHEMA_KEPT(STORE_STR, struct consumer, username)},
    {"custom_id", SCHEMA_STRING, "Its id in another system.", .flags = SCHEMA_UNIQUE,
     SCHEMA_KEPT(STORE_STR, struct consumer, custom_id)},
};

static const struct schema_rule consumer_rules[] = {
    {.kind = RULE_AT_LEAST_ONE, .fields = {1, 0}, .count = 2},
};

const struct schema_record entity_consumer = {"consumers",
                                              ENTITY_CONSUMER,
                                              "Somebody who uses services.",
                                              SCHEMA_FIELDS(consumer_fields),
                                              SCHEMA_RULES(consumer_rules),
                                              .is_entity = true};

static const struct schema_field keyauth_fields[] = {
    {"key", SCHEMA_STRING, "The key; drawn at random by databases if left out.",
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {"consumer", SCHEMA_FOREIGN, "Whose it is.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
    {"ttl", SCHEMA_NUMBER, "Seconds that it lives.", .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_keyauth_credential = {
    "keyauth_credentials", ENTITY_KEYAUTH_CREDENTIAL, "A key for key-auth.",
    SCHEMA_FIELDS(keyauth_fields), .is_entity = true};

static const struct schema_field basicauth_fields[] = {
    {"username", SCHEMA_STRING, "The user's name.", .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {"password", SCHEMA_STRING, "The user's password.", .flags = SCHEMA_REQUIRED | SCHEMA_SECRET},
    {"consumer", SCHEMA_FOREIGN, "Whose it is.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_basicauth_credential = {
    "basicauth_credentials", ENTITY_BASICAUTH_CREDENTIAL, "Name and password for basic-auth.",
    SCHEMA_FIELDS(basicauth_fields), .is_entity = true};

static const struct schema_field hmacauth_fields[] = {
    {"username", SCHEMA_STRING, "The user's name.", .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {"secret", SCHEMA_STRING, "What requests are signed with.",
     .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    {"consumer", SCHEMA_FOREIGN, "Whose it is.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_hmacauth_credential = {
    "hmacauth_credentials", ENTITY_HMACAUTH_CREDENTIAL, "Name and secret for hmac-auth.",
    SCHEMA_FIELDS(hmacauth_fields), .is_entity = true};

enum jwt_field { JWT_KEY, JWT_SECRET, JWT_RSA_PUBLIC_KEY, JWT_ALGORITHM, JWT_CONSUMER };

static const char *const algorithms[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                         "RS512", "ES256", "ES384", "ES512", "PS256",
                                         "PS384", "PS512", "EdDSA", NULL};
static const char *const with_public_key[] = {"RS256", "RS384", "RS512", "PS256",
                                              "PS384", "PS512", "EdDSA", NULL};

static const struct schema_field jwt_fields[] = {
    [JWT_KEY] = {"key", SCHEMA_STRING, "What tokens name as their issuer.",
                 .flags = SCHEMA_UNIQUE | SCHEMA_DRAWN},
    [JWT_SECRET] = {"secret", SCHEMA_STRING, "Secret of the HS algorithms.",
                    .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    [JWT_RSA_PUBLIC_KEY] = {"rsa_public_key", SCHEMA_STRING,
                            .about = "Public key of the other algorithms, in PEM."},
    [JWT_ALGORITHM] = {"algorithm", SCHEMA_STRING, "How tokens are signed.",
                       .fallback = "\"HS256\"", .one_of = algorithms},
    [JWT_CONSUMER] = {"consumer", SCHEMA_FOREIGN, "Whose it is.", .flags = SCHEMA_REQUIRED,
                      .refers_to = ENTITY_CONSUMER},
};

static const struct schema_rule jwt_rules[] = {
    {.kind = RULE_IF,
     .field = JWT_ALGORITHM,
     .when = with_public_key,
     .then_field = JWT_RSA_PUBLIC_KEY,
     .then = THEN_REQUIRED},
};

/* Any PEM key will do for Kong, a private one too. */
static void check_jwt(struct schema_context *c, struct schema_view *v, void *into,
                      const struct schema_frame *at)
{
    const struct spec_outside *outside = &c->options->outside;
    const struct document_node *algorithm = schema_value(c, v, JWT_ALGORITHM);
    const struct document_node *key = v->slots[JWT_RSA_PUBLIC_KEY];
    bool needs_key = algorithm->kind == DOCUMENT_NULL;
    const char *field;
    struct error e;

    (void)into;
    for (size_t i = 0; document_is_string(algorithm) && with_public_key[i]; i++)
        needs_key |= str_equal_cstr(document_text(algorithm), with_public_key[i]);
    if (!needs_key || !outside->check_key || v->failed >> JWT_RSA_PUBLIC_KEY & 1 || !key ||
        key->kind != DOCUMENT_STRING)
        return;
    if (!outside->check_key(outside->context, STR_NONE, document_text(key), &field, &e) ||
        !outside->check_key(outside->context, document_text(key), STR_NONE, &field, &e))
        return;
    fault_add_field(c, v, at, JWT_RSA_PUBLIC_KEY, "invalid key");
    fault_add_entity(c, at, document_place(v->node),
                     "failed conditional validation given value of field 'algorithm'");
}

const struct schema_record entity_jwt_secret = {
    "jwt_secrets",           ENTITY_JWT_SECRET, "A key for jwt.",  SCHEMA_FIELDS(jwt_fields),
    SCHEMA_RULES(jwt_rules), .is_entity = true, .check = check_jwt};

static const struct schema_field acl_fields[] = {
    {"group", SCHEMA_STRING, "A group.", .flags = SCHEMA_REQUIRED},
    {"consumer", SCHEMA_FOREIGN, "Who belongs to it.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_acl = {"acls", ENTITY_ACL, "Membership in a group, for acl.",
                                         SCHEMA_FIELDS(acl_fields), .is_entity = true};

static void check_redirect(struct str value, struct buf *why)
{
    struct kong_url url;

    if (!kong_url_parse(value, &url) || !url.host.ptr || !url.scheme.ptr)
        buf_printf(why, "cannot parse '%.*s'", STR_ARG(value));
    else if (str_find(value, '#', 0) < value.len)
        buf_printf(why, "fragment not allowed in '%.*s'", STR_ARG(value));
}

static const struct schema_field redirect = {.type = SCHEMA_STRING, .check = check_redirect};
static const char *const client_types[] = {"confidential", "public", NULL};

static const struct schema_field oauth2_fields[] = {
    {"client_id", SCHEMA_STRING, "The client's id.", .flags = SCHEMA_UNIQUE | SCHEMA_DRAWN},
    {"name", SCHEMA_STRING, "The client's name.", .flags = SCHEMA_REQUIRED},
    {"client_secret", SCHEMA_STRING, "The client's secret.", .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    {"hash_secret", SCHEMA_BOOLEAN, "Whether the secret is kept as a hash.",
     .flags = SCHEMA_REQUIRED, .fallback = "false"},
    {"redirect_uris", SCHEMA_ARRAY, "Where users are sent back to.", .element = &redirect},
    {"client_type", SCHEMA_STRING, "Whether the client can keep a secret.",
     .flags = SCHEMA_REQUIRED, .fallback = "\"confidential\"", .one_of = client_types},
    {"consumer", SCHEMA_FOREIGN, "Whose it is.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_oauth2_credential = {
    "oauth2_credentials", ENTITY_OAUTH2_CREDENTIAL, "A client for oauth2.",
    SCHEMA_FIELDS(oauth2_fields), .is_entity = true};

static const char *const challenge_methods[] = {"S256", NULL};

static const struct schema_field oauth2_code_fields[] = {
    {"code", SCHEMA_STRING, "The code.", .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {"authenticated_userid", SCHEMA_STRING, .about = "Who agreed."},
    {"scope", SCHEMA_STRING, .about = "What to."},
    {"challenge", SCHEMA_STRING, .about = "PKCE challenge."},
    {"challenge_method", SCHEMA_STRING, "PKCE method.", .one_of = challenge_methods},
    {"service", SCHEMA_FOREIGN, "The service that it is for.", .refers_to = ENTITY_SERVICE},
    {"credential", SCHEMA_FOREIGN, "The client.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_OAUTH2_CREDENTIAL},
    {"plugin", SCHEMA_FOREIGN, "The plugin that made it.", .refers_to = ENTITY_PLUGIN},
    {"ttl", SCHEMA_NUMBER, "Seconds that it lives.", .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_oauth2_code = {
    "oauth2_authorization_codes", ENTITY_OAUTH2_CODE, "A code of oauth2.",
    SCHEMA_FIELDS(oauth2_code_fields), .is_entity = true};

static const char *const token_types[] = {"bearer", NULL};

static const struct schema_field oauth2_token_fields[] = {
    {"access_token", SCHEMA_STRING, "The token.",
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {"refresh_token", SCHEMA_STRING, "What renews it.", .flags = SCHEMA_UNIQUE | SCHEMA_SECRET},
    {"token_type", SCHEMA_STRING, "Its kind.", .flags = SCHEMA_REQUIRED, .fallback = "\"bearer\"",
     .one_of = token_types},
    {"expires_in", SCHEMA_INTEGER, "Seconds that it is good for.", .flags = SCHEMA_REQUIRED},
    {"authenticated_userid", SCHEMA_STRING, .about = "Who agreed."},
    {"scope", SCHEMA_STRING, .about = "What to."},
    {"service", SCHEMA_FOREIGN, "The service that it is for.", .refers_to = ENTITY_SERVICE},
    {"credential", SCHEMA_FOREIGN, "The client.", .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_OAUTH2_CREDENTIAL},
    {"ttl", SCHEMA_NUMBER, "Seconds that it lives.", .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_oauth2_token = {
    "oauth2_tokens", ENTITY_OAUTH2_TOKEN, "A token of oauth2.", SCHEMA_FIELDS(oauth2_token_fields),
    .is_entity = true};
