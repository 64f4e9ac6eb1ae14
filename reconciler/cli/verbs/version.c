#include "reconciler/base/version.h"

#include <ares.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <libpsl.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <stdio.h>
#include <yaml.h>
#include <zlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "reconciler/base/json_out.h"
#include "reconciler/cli/verb.h"

#define VERSION_OUTPUT_MAX ((size_t)64 << 10)
#define VERSION_LIBRARY_MAX 128
#define VERSION_FORMAT 1

/* The version of a library as it runs, not as it was compiled against; in `out` or static. */
struct library {
    const char *name;
    const char *(*version)(char *out, size_t size);
};

static const char *of_ares(char *out, size_t size)
{
    (void)out;
    (void)size;
    return ares_version(NULL);
}

static const char *of_cjson(char *out, size_t size)
{
    (void)out;
    (void)size;
    return cJSON_Version();
}

static const char *of_curl(char *out, size_t size)
{
    (void)out;
    (void)size;
    return curl_version_info(CURLVERSION_NOW)->version;
}

static const char *of_event(char *out, size_t size)
{
    (void)out;
    (void)size;
    return event_get_version();
}

static const char *of_nghttp2(char *out, size_t size)
{
    (void)out;
    (void)size;
    return nghttp2_version(0)->version_str;
}

static const char *of_openssl(char *out, size_t size)
{
    (void)out;
    (void)size;
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static const char *of_pcre2(char *out, size_t size)
{
    int need = pcre2_config(PCRE2_CONFIG_VERSION, NULL);

    if (need < 0 || (size_t)need > size || pcre2_config(PCRE2_CONFIG_VERSION, out) < 0)
        return "";
    return out;
}

static const char *of_psl(char *out, size_t size)
{
    (void)out;
    (void)size;
    return psl_get_version();
}

static const char *of_seccomp(char *out, size_t size)
{
    const struct scmp_version *v = seccomp_version();

    snprintf(out, size, "%u.%u.%u", v->major, v->minor, v->micro);
    return out;
}

static const char *of_yaml(char *out, size_t size)
{
    (void)out;
    (void)size;
    return yaml_get_version_string();
}

static const char *of_zlib(char *out, size_t size)
{
    (void)out;
    (void)size;
    return zlibVersion();
}

static const struct library libraries[] = {
    {"c-ares", of_ares},    {"cjson", of_cjson},     {"libcurl", of_curl},
    {"libevent", of_event}, {"libpsl", of_psl},      {"libseccomp", of_seccomp},
    {"libyaml", of_yaml},   {"nghttp2", of_nghttp2}, {"openssl", of_openssl},
    {"pcre2", of_pcre2},    {"zlib", of_zlib},
};

static void print_json(struct buf *out, bool verbose)
{
    struct json_out j = json_out_pretty(out);
    char text[VERSION_LIBRARY_MAX];

    json_out_object(&j);
    json_out_member_int(&j, "format", VERSION_FORMAT);
    json_out_member_cstr(&j, "version", VERSION_TEXT);
    if (verbose) {
        json_out_member_object(&j, "libraries");
        for (size_t i = 0; i < ARRAY_LENGTH(libraries); i++)
            json_out_member_cstr(&j, libraries[i].name, libraries[i].version(text, sizeof(text)));
        json_out_end(&j);
    }
    json_out_end(&j);
    buf_char(out, '\n');
}

static void print_text(struct buf *out, bool verbose)
{
    char text[VERSION_LIBRARY_MAX];

    buf_cstr(out, "reconcert " VERSION_TEXT "\n");
    for (size_t i = 0; verbose && i < ARRAY_LENGTH(libraries); i++)
        buf_printf(out, "%s %s\n", libraries[i].name, libraries[i].version(text, sizeof(text)));
}

int version_command(const struct command *c)
{
    bool verbose = option_seen(c->options, OPTION_VERBOSE);
    struct buf out = BUF_INIT(VERSION_OUTPUT_MAX);

    if (c->options->format == OPTION_FORMAT_JSON)
        print_json(&out, verbose);
    else
        print_text(&out, verbose);
    return verb_print(&out);
}
