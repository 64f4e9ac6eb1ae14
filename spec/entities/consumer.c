#include "entity.h"

#include "spec/check.h"
#include "spec/fault.h"
#include "spec/spec.h"
#include "spec/url.h"

/* Consumers and their credentials. Nothing here looks a credential up: they are checked and kept.
 */

static const struct schema_field consumer_fields[] = {
    {.name = "username",
     .about = "What others call it by. This, custom_id or both.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE,
     .store = STORE_STR,
     .offset = offsetof(struct consumer, username)},
    {.name = "custom_id",
     .about = "Its id in another system.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE,
     .store = STORE_STR,
     .offset = offsetof(struct consumer, custom_id)},
};

static const struct schema_rule consumer_rules[] = {
    {.kind = RULE_AT_LEAST_ONE, .fields = {1, 0}, .count = 2},
};

const struct schema_record entity_consumer = {.name = "consumers",
                                              .about = "Somebody who uses services.",
                                              .number = ENTITY_CONSUMER,
                                              .fields = consumer_fields,
                                              .count = ARRAY_LENGTH(consumer_fields),
                                              .is_entity = true,
                                              .rules = consumer_rules,
                                              .rule_count = ARRAY_LENGTH(consumer_rules)};

static const struct schema_field keyauth_fields[] = {
    {.name = "key",
     .about = "The key; drawn at random by databases if left out.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "consumer",
     .about = "Whose it is.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
    {.name = "ttl",
     .about = "Seconds that it lives.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_keyauth_credential = {.name = "keyauth_credentials",
                                                        .about = "A key for key-auth.",
                                                        .number = ENTITY_KEYAUTH_CREDENTIAL,
                                                        .fields = keyauth_fields,
                                                        .count = ARRAY_LENGTH(keyauth_fields),
                                                        .is_entity = true};

static const struct schema_field basicauth_fields[] = {
    {.name = "username",
     .about = "The user's name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {.name = "password",
     .about = "The user's password.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_SECRET},
    {.name = "consumer",
     .about = "Whose it is.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_basicauth_credential = {.name = "basicauth_credentials",
                                                          .about =
                                                              "Name and password for basic-auth.",
                                                          .number = ENTITY_BASICAUTH_CREDENTIAL,
                                                          .fields = basicauth_fields,
                                                          .count = ARRAY_LENGTH(basicauth_fields),
                                                          .is_entity = true};

static const struct schema_field hmacauth_fields[] = {
    {.name = "username",
     .about = "The user's name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE},
    {.name = "secret",
     .about = "What requests are signed with.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "consumer",
     .about = "Whose it is.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_hmacauth_credential = {.name = "hmacauth_credentials",
                                                         .about = "Name and secret for hmac-auth.",
                                                         .number = ENTITY_HMACAUTH_CREDENTIAL,
                                                         .fields = hmacauth_fields,
                                                         .count = ARRAY_LENGTH(hmacauth_fields),
                                                         .is_entity = true};

enum jwt_field { JWT_KEY, JWT_SECRET, JWT_RSA_PUBLIC_KEY, JWT_ALGORITHM, JWT_CONSUMER };

static const char *const algorithms[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                         "RS512", "ES256", "ES384", "ES512", "PS256",
                                         "PS384", "PS512", "EdDSA", NULL};
static const char *const with_public_key[] = {"RS256", "RS384", "RS512", "PS256",
                                              "PS384", "PS512", "EdDSA", NULL};

static const struct schema_field jwt_fields[] = {
    [JWT_KEY] = {.name = "key",
                 .about = "What tokens name as their issuer.",
                 .type = SCHEMA_STRING,
                 .flags = SCHEMA_UNIQUE | SCHEMA_DRAWN},
    [JWT_SECRET] = {.name = "secret",
                    .about = "Secret of the HS algorithms.",
                    .type = SCHEMA_STRING,
                    .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    [JWT_RSA_PUBLIC_KEY] = {.name = "rsa_public_key",
                            .about = "Public key of the other algorithms, in PEM.",
                            .type = SCHEMA_STRING},
    [JWT_ALGORITHM] = {.name = "algorithm",
                       .about = "How tokens are signed.",
                       .type = SCHEMA_STRING,
                       .fallback = "\"HS256\"",
                       .one_of = algorithms},
    [JWT_CONSUMER] = {.name = "consumer",
                      .about = "Whose it is.",
                      .type = SCHEMA_FOREIGN,
                      .flags = SCHEMA_REQUIRED,
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

const struct schema_record entity_jwt_secret = {.name = "jwt_secrets",
                                                .about = "A key for jwt.",
                                                .number = ENTITY_JWT_SECRET,
                                                .fields = jwt_fields,
                                                .count = ARRAY_LENGTH(jwt_fields),
                                                .is_entity = true,
                                                .rules = jwt_rules,
                                                .rule_count = ARRAY_LENGTH(jwt_rules),
                                                .check = check_jwt};

static const struct schema_field acl_fields[] = {
    {.name = "group", .about = "A group.", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED},
    {.name = "consumer",
     .about = "Who belongs to it.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_acl = {.name = "acls",
                                         .about = "Membership in a group, for acl.",
                                         .number = ENTITY_ACL,
                                         .fields = acl_fields,
                                         .count = ARRAY_LENGTH(acl_fields),
                                         .is_entity = true};

static void check_redirect(struct str value, struct buf *why)
{
    struct url url;

    if (!url_parse(value, &url) || !url.host.ptr || !url.scheme.ptr)
        buf_printf(why, "cannot parse '%.*s'", STR_ARG(value));
    else if (str_find(value, '#', 0) < value.len)
        buf_printf(why, "fragment not allowed in '%.*s'", STR_ARG(value));
}

static const struct schema_field redirect = {.type = SCHEMA_STRING, .check = check_redirect};
static const char *const client_types[] = {"confidential", "public", NULL};

static const struct schema_field oauth2_fields[] = {
    {.name = "client_id",
     .about = "The client's id.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE | SCHEMA_DRAWN},
    {.name = "name",
     .about = "The client's name.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED},
    {.name = "client_secret",
     .about = "The client's secret.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "hash_secret",
     .about = "Whether the secret is kept as a hash.",
     .type = SCHEMA_BOOLEAN,
     .flags = SCHEMA_REQUIRED,
     .fallback = "false"},
    {.name = "redirect_uris",
     .about = "Where users are sent back to.",
     .type = SCHEMA_ARRAY,
     .element = &redirect},
    {.name = "client_type",
     .about = "Whether the client can keep a secret.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .fallback = "\"confidential\"",
     .one_of = client_types},
    {.name = "consumer",
     .about = "Whose it is.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_CONSUMER},
};

const struct schema_record entity_oauth2_credential = {.name = "oauth2_credentials",
                                                       .about = "A client for oauth2.",
                                                       .number = ENTITY_OAUTH2_CREDENTIAL,
                                                       .fields = oauth2_fields,
                                                       .count = ARRAY_LENGTH(oauth2_fields),
                                                       .is_entity = true};

static const char *const challenge_methods[] = {"S256", NULL};

static const struct schema_field oauth2_code_fields[] = {
    {.name = "code",
     .about = "The code.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "authenticated_userid", .about = "Who agreed.", .type = SCHEMA_STRING},
    {.name = "scope", .about = "What to.", .type = SCHEMA_STRING},
    {.name = "challenge", .about = "PKCE challenge.", .type = SCHEMA_STRING},
    {.name = "challenge_method",
     .about = "PKCE method.",
     .type = SCHEMA_STRING,
     .one_of = challenge_methods},
    {.name = "service",
     .about = "The service that it is for.",
     .type = SCHEMA_FOREIGN,
     .refers_to = ENTITY_SERVICE},
    {.name = "credential",
     .about = "The client.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_OAUTH2_CREDENTIAL},
    {.name = "plugin",
     .about = "The plugin that made it.",
     .type = SCHEMA_FOREIGN,
     .refers_to = ENTITY_PLUGIN},
    {.name = "ttl",
     .about = "Seconds that it lives.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_oauth2_code = {.name = "oauth2_authorization_codes",
                                                 .about = "A code of oauth2.",
                                                 .number = ENTITY_OAUTH2_CODE,
                                                 .fields = oauth2_code_fields,
                                                 .count = ARRAY_LENGTH(oauth2_code_fields),
                                                 .is_entity = true};

static const char *const token_types[] = {"bearer", NULL};

static const struct schema_field oauth2_token_fields[] = {
    {.name = "access_token",
     .about = "The token.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET | SCHEMA_DRAWN},
    {.name = "refresh_token",
     .about = "What renews it.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_UNIQUE | SCHEMA_SECRET},
    {.name = "token_type",
     .about = "Its kind.",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .fallback = "\"bearer\"",
     .one_of = token_types},
    {.name = "expires_in",
     .about = "Seconds that it is good for.",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_REQUIRED},
    {.name = "authenticated_userid", .about = "Who agreed.", .type = SCHEMA_STRING},
    {.name = "scope", .about = "What to.", .type = SCHEMA_STRING},
    {.name = "service",
     .about = "The service that it is for.",
     .type = SCHEMA_FOREIGN,
     .refers_to = ENTITY_SERVICE},
    {.name = "credential",
     .about = "The client.",
     .type = SCHEMA_FOREIGN,
     .flags = SCHEMA_REQUIRED,
     .refers_to = ENTITY_OAUTH2_CREDENTIAL},
    {.name = "ttl",
     .about = "Seconds that it lives.",
     .type = SCHEMA_NUMBER,
     .flags = SCHEMA_QUIET | SCHEMA_UNCHECKED},
};

const struct schema_record entity_oauth2_token = {.name = "oauth2_tokens",
                                                  .about = "A token of oauth2.",
                                                  .number = ENTITY_OAUTH2_TOKEN,
                                                  .fields = oauth2_token_fields,
                                                  .count = ARRAY_LENGTH(oauth2_token_fields),
                                                  .is_entity = true};
