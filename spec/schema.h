#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"
#include "spec/document.h"
#include "spec/model.h"
#include "spec/names.h"
#include "spec/problem.h"

/*
 * The field-table engine. A record is a table of fields; the engine walks a map of the document by
 * it, says in Kong's words what does not fit, and fills a plain struct. Entities are rows of data
 * (entities/); what a table cannot say is a hook of the record.
 */

#define SCHEMA_FIELDS_MAX 40 /* of one record, common ones included */

enum schema_type {
    SCHEMA_STRING,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_ARRAY,
    SCHEMA_SET,
    SCHEMA_MAP,
    SCHEMA_RECORD,
    SCHEMA_FOREIGN, /* a reference to another entity; entity.c looks after it */
    SCHEMA_ANY
};

/* What a value becomes in the struct; the member's type is behind the dash. */
enum schema_store {
    STORE_NOTHING,
    STORE_STR,     /* struct str */
    STORE_TEXT,    /* struct text */
    STORE_INTEGER, /* int64_t */
    STORE_OPT_INT, /* struct opt_int; booleans too */
    STORE_DOUBLE,  /* double */
    STORE_BOOLEAN, /* bool */
    STORE_TEXTS,   /* struct texts; the element has STORE_TEXT and offset 0 */
    STORE_RECORD,  /* the record's struct, in place */
    STORE_POINTER  /* const struct x *: a foreign entity */
};

enum schema_flag {
    SCHEMA_REQUIRED = 1,         /* may not be null, nor left out unless it has a default */
    SCHEMA_REFERENCEABLE = 2,    /* {vault://...} may stand here */
    SCHEMA_UNIQUE = 4,           /* over all entities of its kind */
    SCHEMA_EMPTY = 8,            /* "" is a value too */
    SCHEMA_RANGE = 16,           /* min and max count */
    SCHEMA_NULL = 32,            /* must be null; `refusal` says why */
    SCHEMA_NOT_TRUE = 64,        /* true is refused with `refusal` */
    SCHEMA_LOWER = 128,          /* kept in lower case */
    SCHEMA_UNCHECKED = 256,      /* any value of any type passes */
    SCHEMA_SECRET = 512,         /* never printed but in a flattened document */
    SCHEMA_TIMESTAMP = 1024,     /* more than 0 */
    SCHEMA_SHORTHAND = 2048,     /* stands for other fields: not part of the flattened entity */
    SCHEMA_DEFERRED = 4096,      /* checked by the record's or variant's own hook */
    SCHEMA_QUIET = 16384,        /* part of the flattened entity only where it is set */
    SCHEMA_CHECKS_EMPTY = 32768, /* "" is for `check` to refuse */
    SCHEMA_DRAWN = 8192          /* Kong draws it at random where it is left out */
};

/* Of a field: what becomes of its value, and where. */
#define SCHEMA_KEPT(how, type, member) .store = (how), .offset = offsetof(type, member)
/* Of a record. */
#define SCHEMA_FIELDS(table) .fields = (table), .count = ARRAY_LENGTH(table)
#define SCHEMA_RULES(table) .rules = (table), .rule_count = ARRAY_LENGTH(table)

struct schema_record;

/* Says why `value` is refused, in Kong's words; nothing appended: it is fine. */
typedef void schema_check(struct str value, struct buf *why);

struct schema_field {
    const char *name;
    enum schema_type type;
    const char *about; /* one sentence for the reference and the editor */
    enum schema_store store;
    unsigned flags;
    size_t offset;         /* of the member, if it is stored */
    const char *fallback;  /* the default, as JSON; NULL: null */
    const char *in_effect; /* what holds here where it is left out, if that is not the fallback */
    int64_t min, max;
    const char *const *one_of; /* NULL at its end; numbers as text */
    schema_check *check;
    const char *refusal;
    const struct schema_field *element; /* of arrays, sets; values of maps */
    const struct schema_field *key;     /* of maps */
    const struct schema_record *record; /* of records */
    unsigned refers_to;                 /* kind of a foreign entity */
};

enum schema_rule_kind {
    RULE_IF,           /* `field` is (not) in `when`, then `then_field` must ... */
    RULE_AT_LEAST_ONE, /* of `fields` is not empty */
    RULE_AT_MOST_ONE,  /* of `fields` is set */
    RULE_ALL_OR_NONE,  /* of `fields` are set */
    RULE_DISTINCT      /* values of `fields` */
};

enum schema_then { THEN_NULL, THEN_REQUIRED, THEN_ONE_OF };

/* A check over several fields of one record; numbers are those of its table. */
struct schema_rule {
    enum schema_rule_kind kind;
    unsigned field;
    const char *const *when;
    bool unless; /* `when` lists what does not count */
    unsigned then_field;
    enum schema_then then;
    const char *const *then_in;
    unsigned fields[5];
    unsigned count;
};

struct schema_context;
struct schema_view;
struct schema_frame;

/* Other definitions for some fields, chosen by a value: routes by protocol, plugins by name. */
struct schema_variant {
    const char *name;
    struct {
        unsigned field;
        const struct schema_field *with;
        const struct document_node *fallback; /* its own default; NULL: that of the record */
    } overrides[5];
    unsigned count;
    void (*check)(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at);
};

struct schema_record {
    const char *name; /* "services"; for parts: "acme.storage_config.redis" */
    unsigned number;  /* its place in entity_records */
    const char *about;
    const struct schema_field *fields;
    unsigned count;
    bool is_entity;   /* has the common fields too */
    bool has_no_tags; /* but not that one */
    const struct schema_rule *rules;
    unsigned rule_count;
    bool rules_last; /* behind `check`, which finds more of what is wrong by itself */
    /* Replaces shorthand fields by what they stand for. */
    void (*expand)(struct schema_context *c, struct schema_view *v, const struct schema_frame *at);
    /* The variant that v belongs to; false: it has been refused and nothing more can be said. */
    bool (*choose)(struct schema_context *c, struct schema_view *v, const struct schema_frame *at);
    /* What tables cannot say. Runs last. */
    void (*check)(struct schema_context *c, struct schema_view *v, void *into,
                  const struct schema_frame *at);
    /* Changes a string before it is checked (the `transforms` field's elements). */
    struct str (*transform)(struct schema_context *c, struct str value);
    unsigned transforms;
};

/* The common fields of entities stand behind the record's own, in this order. */
enum schema_common {
    COMMON_ID,
    COMMON_CREATED_AT,
    COMMON_UPDATED_AT,
    COMMON_TAGS,
    COMMON_COMMENT,
    COMMON_IGNORE,
    COMMON_COUNT
};
extern const struct schema_field schema_common_fields[COMMON_COUNT];

/* One map of the document seen by its record. */
struct schema_view {
    const struct schema_record *record;
    const struct schema_variant *variant;
    const struct document_node *node;
    const struct document_node *slots[SCHEMA_FIELDS_MAX]; /* NULL: left out */
    uint64_t given;               /* fields that have a slot, one bit each */
    uint64_t failed;              /* fields with a problem */
    struct document_node room[4]; /* for nodes that `expand` makes */
};

/* Where in an entity we are; the way up is the path. */
struct schema_frame {
    const struct schema_frame *up;
    const char *field; /* of a table; or ... */
    struct str name;   /* ... of the document; or ... */
    uint32_t index;    /* ... 1-based place in a list */
    bool is_own;       /* Kong's path leaves this one out */
};

/* A problem inside the entity at hand. */
struct schema_fault {
    struct str path;  /* from the entity on: config.domains[3] */
    struct str field; /* Kong's way: config.domains.3 */
    struct str message;
    struct str kong;
    struct place place;
    bool is_entity;                     /* concerns the whole entity: a rule */
    const struct document_node *inside; /* the map where a reference belongs, if it is in one */
    uint8_t inside_kind;
};

/* Names, lookup tables and defaults of all records: made once a load. */
struct schema_index {
    struct names *names;
    uint32_t known;                        /* names from here on belong to no schema */
    const uint8_t **by_name;               /* record number, name -> field + 1 */
    const struct document_node **defaults; /* record number, field -> default, or a null node */
    uint64_t *required; /* record number -> fields that may not be left out, one bit each */
};

struct spec_options;
struct reference_table;

struct schema_context {
    struct arena *arena;   /* what outlives the load */
    struct arena *scratch; /* what does not */
    const struct schema_index *index;
    const struct spec_options *options;
    struct reference_table *references;
    const struct problems *problems; /* that faults become */
    struct schema_fault *faults;     /* of the entity at hand */
    size_t fault_count, fault_cap;
    size_t fault_skipped;  /* of them, more than can be told */
    const char *parent;    /* what the entity at hand is written in: "service"; NULL: the top */
    bool migrates_paths;   /* the entity at hand comes from a 1.1 or 2.1 file */
    struct str unresolved; /* first reference of the entity at hand that found nothing */
    struct place unresolved_place;
    bool has_reference;      /* a field of the entity at hand is one */
    struct acme *acme;       /* the entity at hand, if it is an acme plugin */
    struct acme *found_acme; /* the last acme plugin of the load */
    bool is_partial;         /* what is left out is no fault */
    bool is_out_of_memory;
};

/* Seeds names and makes the tables; -1 when memory is out. All in the two arenas. */
int schema_prepare(struct schema_index *index, struct names *names,
                   const struct schema_record *const *records, unsigned count,
                   struct arena *strings, struct arena *arena, struct error *e) MUST_CHECK;

/* Lays the map (or an empty list) under the record: slots, shorthands, variant. Unknown fields are
 * faults; the names that `is_known` accepts are passed over. False: do not look further. */
bool schema_open(struct schema_context *c, const struct schema_record *record,
                 const struct document_node *node, struct schema_view *v,
                 const struct schema_frame *at, bool (*is_known)(const void *, uint32_t),
                 const void *known);
/* Checks all fields of an open view and stores them into `into` (NULL: nowhere), then the rules. */
void schema_check_view(struct schema_context *c, struct schema_view *v, void *into,
                       const struct schema_frame *at);
/* Puts a value into a slot, as if it had been written. For a record's `expand`. */
void schema_put(struct schema_view *v, unsigned i, const struct document_node *n);
/* The defaults of a record that was zeroed. */
void schema_set_defaults(struct schema_context *c, const struct schema_record *record, void *into);

/* Field i of the record, without a variant. */
const struct schema_field *schema_base_field(const struct schema_record *record, unsigned i);
/* Field i of the view, variant considered. */
const struct schema_field *schema_field_of(const struct schema_view *v, unsigned i);
unsigned schema_field_count(const struct schema_record *record);
/* Its value: as written, else the default, else a null node; never NULL. */
const struct document_node *schema_value(const struct schema_context *c,
                                         const struct schema_view *v, unsigned i);
bool schema_is_empty(const struct document_node *n); /* null, "", [] or {} */

/* "{vault://" at its start, "}" at its end. */
bool schema_is_reference(struct str s);

extern const struct document_node schema_null;
