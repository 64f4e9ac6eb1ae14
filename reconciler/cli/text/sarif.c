#include "reconciler/cli/text/sarif.h"

#include <string.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/version.h"

#define SARIF_VERSION "2.1.0"
#define SARIF_SCHEMA \
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

/* A file's name as a URI: a path of PATH_MAX bytes, each of them escaped. */
#define SARIF_URI_MAX ((size_t)3 * 4096 + 16)

struct sarif_rule {
    const char *id, *level, *about;
};

/* By enum problem_severity. */
static const struct sarif_rule rules[] = {
    [PROBLEM_ERROR] = {"invalid", "error", "The declarative file is not valid."},
    [PROBLEM_NOTE] = {"unenforced", "note",
                      "This is valid, and neither checked nor enforced here."},
    [PROBLEM_WARNING] = {"doubtful", "warning",
                         "The declarative file is valid, but this does not do what it seems to."},
};

/* RFC 3986 §2.3, and the slash between segments. */
static bool stands_for_itself(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~/", c));
}

/* A relative reference, or file:///... for an absolute path (RFC 8089). */
static void print_uri(const char *file, struct json_out *j)
{
    struct buf uri = BUF_INIT(SARIF_URI_MAX);

    if (file[0] == '/')
        buf_cstr(&uri, "file://");
    for (; *file; file++)
        if (stands_for_itself(*file))
            buf_char(&uri, *file);
        else
            buf_printf(&uri, "%%%02X", (unsigned char)*file);
    json_out_member_str(j, "uri", buf_view(&uri));
    buf_free(&uri);
}

static void print_text(struct json_out *j, const char *key, struct str text)
{
    json_out_member_object(j, key);
    json_out_member_str(j, "text", text);
    json_out_end(j);
}

static void print_region(struct place place, struct json_out *j)
{
    json_out_member_object(j, "region");
    json_out_member_int(j, "startLine", place.line);
    if (place.column)
        json_out_member_int(j, "startColumn", place.column);
    json_out_end(j);
}

static void print_location(const struct problems *problems, const struct problem *one,
                           struct json_out *j)
{
    json_out_object(j);
    json_out_member_object(j, "physicalLocation");
    json_out_member_object(j, "artifactLocation");
    print_uri(problems->files[one->place.file].name, j);
    json_out_end(j);
    if (one->place.line)
        print_region(one->place, j);
    json_out_end(j);
    if (one->path.len) {
        json_out_member_array(j, "logicalLocations");
        json_out_object(j);
        json_out_member_str(j, "fullyQualifiedName", one->path);
        json_out_end(j);
        json_out_end(j);
    }
    json_out_end(j);
}

static void print_result(const struct problems *problems, const struct problem *one,
                         struct json_out *j)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);

    if (one->path.len) {
        buf_str(&text, one->path);
        buf_cstr(&text, ": ");
    }
    buf_str(&text, one->message);
    json_out_object(j);
    json_out_member_cstr(j, "ruleId", rules[one->severity].id);
    json_out_member_int(j, "ruleIndex", one->severity);
    json_out_member_cstr(j, "level", rules[one->severity].level);
    print_text(j, "message", buf_view(&text));
    json_out_member_array(j, "locations");
    if (one->place.file < problems->file_count)
        print_location(problems, one, j);
    json_out_end(j);
    json_out_end(j);
    buf_free(&text);
}

static void print_tool(struct json_out *j)
{
    json_out_member_object(j, "tool");
    json_out_member_object(j, "driver");
    json_out_member_cstr(j, "name", "reconcert");
    json_out_member_cstr(j, "version", VERSION_TEXT);
    json_out_member_array(j, "rules");
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        json_out_object(j);
        json_out_member_cstr(j, "id", rules[i].id);
        print_text(j, "shortDescription", str_from(rules[i].about));
        json_out_member_object(j, "defaultConfiguration");
        json_out_member_cstr(j, "level", rules[i].level);
        json_out_end(j);
        json_out_end(j);
    }
    json_out_end(j);
    json_out_end(j);
    json_out_end(j);
}

/* Where more problems were found than are kept, the log says so. */
static void print_invocation(const struct problems *problems, struct json_out *j)
{
    struct buf text = BUF_INIT(64);

    json_out_member_array(j, "invocations");
    json_out_object(j);
    json_out_member_bool(j, "executionSuccessful", true);
    if (problems->truncated) {
        buf_printf(&text, "and %zu more", problems->truncated);
        json_out_member_array(j, "toolExecutionNotifications");
        json_out_object(j);
        json_out_member_cstr(j, "level", "warning");
        print_text(j, "message", buf_view(&text));
        json_out_end(j);
        json_out_end(j);
    }
    json_out_end(j);
    json_out_end(j);
    buf_free(&text);
}

void sarif_print(const struct problems *problems, struct buf *out)
{
    struct json_out j = json_out_pretty(out);

    json_out_object(&j);
    json_out_member_cstr(&j, "$schema", SARIF_SCHEMA);
    json_out_member_cstr(&j, "version", SARIF_VERSION);
    json_out_member_array(&j, "runs");
    json_out_object(&j);
    print_tool(&j);
    print_invocation(problems, &j);
    json_out_member_array(&j, "results");
    for (size_t i = 0; i < problems->count; i++)
        print_result(problems, &problems->items[i], &j);
    json_out_end(&j);
    json_out_end(&j);
    json_out_end(&j);
    json_out_end(&j);
    buf_char(out, '\n');
}
