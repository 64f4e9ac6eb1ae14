#include "reconciler/acme/download.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/acme/link.h"
#include "reconciler/acme/url.h"
#include "reconciler/pki/issued.h"

static const struct str media_type = STR_INIT("application/pem-certificate-chain");

static bool has(const struct acme_download *d, const char *url)
{
    for (size_t i = 0; i < d->alternate_count; i++)
        if (strcmp(d->alternates[i], url) == 0)
            return true;
    return false;
}

static void read_links(struct acme_download *d, struct str line, struct str base)
{
    struct acme_link link;
    struct error ignored;
    char *url;

    while (d->alternate_count < ACME_ALTERNATES_MAX && acme_link_next(&line, &link)) {
        url = link.is_alternate ? acme_url_resolve(link.target, base, "Link", &ignored) : NULL;
        if (url && !has(d, url) && !str_equal_cstr(base, url))
            d->alternates[d->alternate_count++] = url;
        else
            free(url);
    }
}

/* The answer's chain, checked; its issuer in *issuer (malloc'd or NULL). */
static int check(const struct http_reply *reply, const struct issued_expectation *expected,
                 char **issuer, struct error *e)
{
    if (reply->content_type.ptr &&
        !str_equal_nocase(str_slice(reply->content_type, 0, media_type.len), media_type))
        return error_set(e, ERROR_PROTOCOL, "the certificate comes as another media type");
    return issued_check(reply->body, expected, issuer, e);
}

static int put(struct acme_download *d, struct str chain, char *issuer, struct error *e)
{
    char *copy = str_dup(chain);

    if (!copy) {
        free(issuer);
        return error_memory(e);
    }
    free(d->chain);
    free(d->top_issuer);
    d->chain = copy;
    d->top_issuer = issuer;
    return 0;
}

int acme_download_take(struct acme_download *d, const struct http_reply *reply, struct str url,
                       const struct issued_expectation *expected, struct error *e)
{
    char *issuer = NULL;

    if (check(reply, expected, &issuer, e) || put(d, reply->body, issuer, e))
        return -1;
    for (size_t i = 0; i < reply->link_count; i++)
        read_links(d, reply->links[i], url);
    return 0;
}

int acme_download_take_if(struct acme_download *d, const struct http_reply *reply,
                          const struct issued_expectation *expected, struct str wanted,
                          struct error *e)
{
    char *issuer = NULL;

    if (check(reply, expected, &issuer, e))
        return -1;
    if (str_equal(str_from(issuer), wanted))
        return put(d, reply->body, issuer, e) ? -1 : 1;
    free(issuer);
    return 0;
}

bool acme_download_ends_under(const struct acme_download *d, struct str issuer)
{
    return d->top_issuer && str_equal_cstr(issuer, d->top_issuer);
}

void acme_download_fini(struct acme_download *d)
{
    free(d->chain);
    free(d->top_issuer);
    while (d->alternate_count)
        free(d->alternates[--d->alternate_count]);
    *d = (struct acme_download){0};
}
