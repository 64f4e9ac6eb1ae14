#include "reconciler/acme/download.h"

#include <stdlib.h>

#include "reconciler/acme/url.h"
#include "reconciler/pki/issued.h"

static const struct str media_type = STR_INIT("application/pem-certificate-chain");

/* Parameters of one link: is one of them rel=alternate, quoted or not (RFC 8288 §3)? */
static bool is_alternate(struct str parameters)
{
    struct str one, value;

    while (parameters.ptr) {
        one = str_trim(str_cut(parameters, ';', &parameters));
        if (!str_equal_nocase(str_trim(str_cut(one, '=', &value)), STR("rel")) || !value.ptr)
            continue;
        value = str_trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = str_slice(value, 1, value.len - 1);
        if (str_equal_nocase(value, STR("alternate")))
            return true;
    }
    return false;
}

/* A Link line: <url>;params, <url>;params ... */
static void read_links(struct acme_download *d, struct str line)
{
    while (line.len) {
        size_t open = str_find(line, '<', 0), close = str_find(line, '>', open);
        struct str url = str_slice(line, open + 1, close), parameters;
        /* A comma ends a link; those inside of <> are behind us. */
        size_t end = str_find(line, ',', close);

        parameters = str_slice(line, close + 1, end);
        if (close < line.len && is_alternate(parameters) && acme_url_is_usable(url) &&
            d->alternate_count < ACME_ALTERNATES_MAX) {
            d->alternates[d->alternate_count] = str_dup(url);
            d->alternate_count += d->alternates[d->alternate_count] != NULL;
        }
        line = str_slice(line, end + 1, line.len);
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

int acme_download_take(struct acme_download *d, const struct http_reply *reply,
                       const struct issued_expectation *expected, struct error *e)
{
    char *issuer = NULL;

    if (check(reply, expected, &issuer, e) || put(d, reply->body, issuer, e))
        return -1;
    for (size_t i = 0; i < reply->link_count; i++)
        read_links(d, reply->links[i]);
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
