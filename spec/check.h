#pragma once

#include "reconciler/base/buf.h"
#include "reconciler/base/str.h"

/*
 * The checks of single strings that fields of several entities share. Each has the type
 * schema_check: appends Kong's sentence to `why` if the value is refused.
 */
void check_uuid(struct str value, struct buf *why);
void check_name(struct str value, struct buf *why); /* service, route, plugin instance */
void check_tag(struct str value, struct buf *why);
void check_host(struct str value, struct buf *why);                /* no port */
void check_host_and_port(struct str value, struct buf *why);       /* port optional */
void check_host_pattern(struct str value, struct buf *why);        /* routes.hosts, acme.domains */
void check_server_name(struct str value, struct buf *why);         /* no IP, no port */
void check_server_name_pattern(struct str value, struct buf *why); /* one star at either end */
void check_ip_or_cidr(struct str value, struct buf *why);
void check_path(struct str value, struct buf *why);    /* service.path */
void check_escapes(struct str value, struct buf *why); /* %XX is whole wherever a % stands */
void check_method(struct str value, struct buf *why);
void check_header_name(struct str value, struct buf *why);
void check_cookie_name(struct str value, struct buf *why);
void check_url(struct str value, struct buf *why); /* has scheme and host */
