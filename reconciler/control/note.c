#include "reconciler/control/note.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include "reconciler/base/attr.h"
#include "reconciler/core/render.h"

#define HTTP01_PORT 80 /* RFC 8555 §8.3 */

static bool is_plain_port(const struct settings *s, uint16_t port)
{
    for (size_t i = 0; i < s->proxy_listen.count; i++)
        if (!s->proxy_listen.items[i].ssl && s->proxy_listen.items[i].port == port)
            return true;
    return false;
}

static bool is_reached(const struct settings *s)
{
    if (is_plain_port(s, HTTP01_PORT))
        return true;
    for (size_t i = 0; i < s->port_map_count; i++)
        if (s->port_maps[i].outside == HTTP01_PORT && is_plain_port(s, s->port_maps[i].inside))
            return true;
    return false;
}

/* The first plain port, where traffic for port 80 could be sent; 0 = there is none. */
static unsigned first_plain_port(const struct settings *s)
{
    for (size_t i = 0; i < s->proxy_listen.count; i++)
        if (!s->proxy_listen.items[i].ssl)
            return s->proxy_listen.items[i].port;
    return 0;
}

bool note_http01_port(const struct settings *s, const struct model *model, struct buf *out)
{
    unsigned port = first_plain_port(s);

    if (!model->acme || !model->acme->enabled || s->acme_server || is_reached(s))
        return false;
    buf_printf(out, "http-01 asks port %d of each name; ", HTTP01_PORT);
    if (port)
        buf_printf(out, "forward it to %u, or ", port);
    buf_printf(out, "set proxy_listen=0.0.0.0:%d, ...", HTTP01_PORT);
    if (port)
        buf_printf(out, "; port_maps=%d:%u says that it is forwarded", HTTP01_PORT, port);
    return true;
}

bool note_closed_gate(const struct model *model, struct buf *out)
{
    const struct acme *acme = model->acme;

    if (!acme || !acme->enabled || acme->domains.count || acme->allow_any_domain)
        return false;
    buf_cstr(out, "the acme plugin lets no name through: list some in its domains, or set "
                  "allow_any_domain");
    return true;
}

bool note_fleeting_prefix(const char *prefix, struct buf *out)
{
    static const struct {
        long magic;
        const char *name;
    } fleeting[] = {
        {TMPFS_MAGIC, "tmpfs"}, {RAMFS_MAGIC, "ramfs"}, {OVERLAYFS_SUPER_MAGIC, "an overlay"}};
    struct statfs st;

    if (statfs(prefix, &st))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(fleeting); i++)
        if ((unsigned long)st.f_type == (unsigned long)fleeting[i].magic) {
            buf_printf(out,
                       "the prefix %s lies on %s: what is obtained is lost with it, and ordered "
                       "again, up to the CA's limits; put it on a disk or a volume",
                       prefix, fleeting[i].name);
            return true;
        }
    return false;
}

void note_error(const struct error *e, struct buf *out)
{
    if (e->file[0]) {
        render_outside(str_from(e->file), out);
        if (e->line)
            buf_printf(out, ":%u", e->line);
        if (e->line && e->column)
            buf_printf(out, ":%u", e->column);
        buf_cstr(out, ": ");
    }
    if (e->path[0]) {
        render_outside(str_from(e->path), out);
        buf_cstr(out, ": ");
    }
    render_outside(str_from(e->message), out);
}
