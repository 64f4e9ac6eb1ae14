#pragma once

#include "reconciler/base/arena.h"
#include "reconciler/base/ca.h"
#include "reconciler/base/error.h"
#include "reconciler/base/hostname.h"
#include "reconciler/base/key_type.h"
#include "reconciler/base/subject.h"
#include "spec/model.h"

/* Which certificates must exist, from where, and whom they override (design 5). Pure. */

/* On a certificates or snis entity: leave this SNI alone. */
#define DESIRED_TAG_OFF "acme:off"

/* Why a name is desired; a name may have several. */
enum desired_origin {
    DESIRED_DOMAIN = 1 << 0,     /* exact entry of the plugin's `domains` */
    DESIRED_ROUTE_HOST = 1 << 1, /* exact host of a route of an enabled service, through the gate */
    DESIRED_ROUTE_SNI = 1 << 2,  /* the same for a route's snis */
    DESIRED_CERTIFICATE_SNI = 1 << 3, /* declared SNI, through the gate: to be overridden */
    DESIRED_ON_DEMAND = 1 << 4        /* seen in a handshake, or asked for by the Admin API */
};

/* Why a desired name can never be ordered as things stand. Texts are in plan.c's reason table. */
enum desired_block {
    DESIRED_FREE = 0,
    DESIRED_NOT_PUBLIC, /* no public CA certifies such a name, and the directory is one of theirs */
    DESIRED_NO_ACCOUNT_KEY,    /* account_key names a key that is not in the file */
    DESIRED_UNRESOLVED,        /* a {vault://} that issuing needs */
    DESIRED_TOS,               /* a Let's Encrypt directory without tos_accepted */
    DESIRED_NO_CA_CERTIFICATE, /* ca_certificates of a service whose route asks for it lack one */
    DESIRED_STORAGE,           /* the storage cannot be used by this build or mode */
    DESIRED_BAD_EMAIL,         /* account_email, and the others, as acme/ca.h has it */
    DESIRED_BAD_URL,
    DESIRED_BAD_ACCOUNT_KEY,
    DESIRED_BAD_BINDING,
    DESIRED_BLOCK_COUNT
};

struct gate; /* gate.h: the wildcard entries of `domains`, prepared for look-ups */

struct desired_name {
    struct subject subject;
    const struct ca *ca;    /* that it is ordered at; the configuration's */
    enum key_type key_type; /* of its next key */
    unsigned origins;       /* enum desired_origin bits */
    enum desired_block block;
    const struct place *places; /* every place that asks for it, in order of file, line, column */
    size_t place_count;
    bool is_left_alone; /* tagged acme:off: it is not desired, and that is why */
    const struct sni
        *overrides; /* the declared exact SNI that the managed certificate replaces; or NULL */
    int64_t last_seen_at; /* on demand: unix seconds; else 0 */
};

/* A name that came on demand, as the store remembers it. */
struct desired_demand {
    struct str name;
    int64_t last_seen_at;
};

struct desired_options {
    struct str acme_server; /* directory that overrides the file's api_uri; STR_NONE = none */
    const struct desired_demand
        *demands; /* those still within their time; passing the gate is checked here */
    size_t demand_count;
    enum desired_block block; /* what the shell knows to be in the way of every name */
    char *const *limits;      /* rows of acme_limits: they go before those that are known */
    size_t limit_count;
};

#define DESIRED_UNGATED_KEPT 5

struct desired {
    const struct desired_name *names; /* sorted by subject, each once */
    size_t count;
    /*
     * Names that would be desired if their declared SNI did not carry the tag acme:off, sorted. The
     * tag speaks for one name and wins over every other origin: a managed certificate beside an SNI
     * that is to be left alone could never be served, so ordering it would only spend the CA's
     * limits.
     */
    const struct desired_name *left_alone;
    size_t left_alone_count;
    /*
     * Hosts of routes over TLS that the gate does not let through and that no declared SNI covers
     * either: the first of them in order, and how many there are.
     */
    struct desired_name ungated[DESIRED_UNGATED_KEPT];
    size_t ungated_count;
    struct ca ca;           /* of all of them; its texts are the model's */
    enum key_type key_type; /* of new certificate keys, from cert_type and rsa_key_size */
    const struct acme
        *acme; /* NULL: no plugin, or a disabled one: nothing is managed, count is 0 */
    const struct gate *gate;  /* NULL when acme is */
    enum desired_block block; /* of every name, on-demand ones too; DESIRED_FREE = none */
};

/* The CA that the plugin asks for; its directory is in `arena`, NULL where memory is out. */
struct ca desired_ca(const struct acme *acme, struct str acme_server, struct arena *arena);
/* What is in the way of every name: what the file lacks, else `block`. */
enum desired_block desired_common_block(const struct acme *acme, const struct ca *ca,
                                        enum desired_block block);

/* Where the plugin says, or should, what a block is about; line 0: elsewhere. */
struct place desired_block_place(const struct acme *acme, enum desired_block block);

/* All in `arena`; names of `model` are pointed at, not copied. 0, or -1 (memory). */
int desired_make(const struct model *model, const struct desired_options *options,
                 struct arena *arena, struct desired **desired, struct error *e) MUST_CHECK;

/* The entry of `subject` by binary search, or NULL. */
const struct desired_name *desired_find(const struct desired *desired, struct subject subject);
/* The same among the names that acme:off takes out. */
const struct desired_name *desired_find_left_alone(const struct desired *desired, struct str name);
/*
 * What stands beside a subject that is not desired itself: its name's first family, or that it is
 * left alone. NULL: the name is not asked for.
 */
const struct desired_name *desired_find_beside(const struct desired *desired,
                                               struct subject subject);

/* Kong's gate for a name; closed when `acme` is NULL. `host` is lower case without a port. */
bool desired_passes(const struct desired *desired, struct str host);

/*
 * A name that came on demand after desired_make: true, with *room filled as desired_make would have
 * it (without places), if it passes the gate, is exact, and is not in `names` or left alone
 * already.
 */
bool desired_on_demand(const struct desired *desired, const struct desired_demand *demand,
                       struct desired_name *room);

/* The directory URL for `api_uri` as given (only the two bare Let's Encrypt hosts get /directory).
 * In `arena`. */
struct str desired_directory(struct str api_uri, struct arena *arena);
