#pragma once

#include "reconciler/base/error.h"
#include "reconciler/base/str.h"

#define RULE_URL_MAX 2048

/* Checks of one value, for struct setting_type. 0, or -1 with *e (ERROR_USAGE). */
int rule_url(struct str value, struct error *e) MUST_CHECK;         /* https, with a host */
int rule_trusted_ip(struct str value, struct error *e) MUST_CHECK;  /* address, CIDR, "unix:" */
int rule_name_server(struct str value, struct error *e) MUST_CHECK; /* IP[:port] */
int rule_user(struct str value, struct error *e) MUST_CHECK;        /* "user" or "user group" */
int rule_header(struct str value, struct error *e) MUST_CHECK;      /* an HTTP field name */
int rule_plugin(struct str value, struct error *e) MUST_CHECK;      /* a plugin's name */
int rule_path(struct str value, struct error *e) MUST_CHECK; /* not a PEM text, not too long */
/* Is it the text of a PEM file, or base64 of one? */
bool rule_is_pem(struct str value);
/* on, off or a path; no other word for yes or no, for it would be taken for a file. */
int rule_approve(struct str value, struct error *e) MUST_CHECK;

/* `"value" why`, the value escaped and cut. Returns -1. */
int rule_refuse(struct str value, const char *why, struct error *e);
