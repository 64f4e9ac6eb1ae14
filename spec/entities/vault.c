#include "entity.h"

#include "spec/fault.h"

enum vault_field { VAULT_PREFIX, VAULT_NAME, VAULT_DESCRIPTION, VAULT_CONFIG };

static bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z][a-z0-9-]*[a-z0-9], and not the name of a kind of vault. */
static void check_prefix(struct str value, struct buf *why)
{
    bool is_fine = value.len > 1 && value.ptr[0] >= 'a' && value.ptr[0] <= 'z' &&
                   is_lower_alphanumeric(value.ptr[value.len - 1]);

    if (str_equal(value, STR("env"))) {
        buf_cstr(why, "must not be one of: env");
        return;
    }
    for (size_t i = 0; is_fine && i < value.len; i++)
        is_fine = is_lower_alphanumeric(value.ptr[i]) || value.ptr[i] == '-';
    if (!is_fine)
        buf_printf(why, "invalid value: %.*s", STR_ARG(value));
}

/* [A-Za-z_-][A-Za-z0-9_-]* */
static void check_variable(struct str value, struct buf *why)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = str_lower(value.ptr[i]);

        if ((c >= 'a' && c <= 'z') || c == '_' || c == '-' || (i && c >= '0' && c <= '9'))
            continue;
        buf_printf(why, "invalid value: %.*s", STR_ARG(value));
        return;
    }
}

static const struct schema_field fields[] = {
    [VAULT_PREFIX] = {"prefix", SCHEMA_STRING, "What references call it: {vault://PREFIX/...}.",
                      .flags = SCHEMA_REQUIRED | SCHEMA_UNIQUE, .check = check_prefix},
    [VAULT_NAME] = {"name", SCHEMA_STRING, "Its kind: env.", .flags = SCHEMA_REQUIRED},
    [VAULT_DESCRIPTION] = {"description", SCHEMA_STRING, .about = "A remark."},
    [VAULT_CONFIG] = {"config", SCHEMA_RECORD, "How it is asked.", .flags = SCHEMA_REQUIRED,
                      .record = &entity_vault_env},
};

static bool choose(struct schema_context *c, struct schema_view *v, const struct schema_frame *at)
{
    const struct document_node *n = v->slots[VAULT_NAME];
    const char *problem = NULL;

    if (!n || n->kind == DOCUMENT_NULL)
        problem = "required field missing";
    else if (n->kind != DOCUMENT_STRING)
        problem = "expected a string";
    if (problem) {
        fault_add_field(c, v, at, VAULT_NAME, "%s", problem);
        return false;
    }
    if (str_equal(document_text(n), STR("env")))
        return true;
    fault_add_field(c, v, at, VAULT_NAME, "vault '%.*s' is not installed",
                    STR_ARG(document_text(n)));
    return false;
}

const struct schema_record entity_vault = {"vaults",
                                           ENTITY_VAULT,
                                           "A place that {vault://...} references name.",
                                           SCHEMA_FIELDS(fields),
                                           .is_entity = true,
                                           .choose = choose};

static const struct schema_field env_fields[] = {
    {"prefix", SCHEMA_STRING, "Put in front of the variable's name.", .check = check_variable},
};

const struct schema_record entity_vault_env = {"vaults.config", PART_VAULT_ENV,
                                               SCHEMA_FIELDS(env_fields)};
