#include "reconciler/control/note.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include "reconciler/base/attr.h"
#include "reconciler/base/clock.h"
#include "reconciler/core/explain.h"
#include "reconciler/core/render.h"
#include "reconciler/pki/check.h"

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

bool note_gate(const struct model *model, const struct desired *desired, struct buf *out)
{
    const struct acme *acme = model->acme;
    size_t count = desired->ungated_count;

    if (acme && acme->enabled && !acme->domains.count && !acme->allow_any_domain) {
        buf_cstr(out, "the acme plugin lets no name through: list some in its domains, or set "
                      "allow_any_domain");
        return true;
    }
    if (!count)
        return false;
    buf_cstr(out, "no certificate for these hosts of routes, which the acme plugin's gate leaves "
                  "out and no declared one covers: ");
    for (size_t i = 0; i < count && i < DESIRED_UNGATED_KEPT; i++) {
        const struct desired_name *n = &desired->ungated[i];

        buf_cstr(out, i ? ", " : "");
        buf_str(out, n->subject.name);
        buf_cstr(out, " (");
        render_place(model, n->places[0], out);
        buf_char(out, ')');
    }
    if (count > DESIRED_UNGATED_KEPT)
        buf_printf(out, " and %zu more", count - DESIRED_UNGATED_KEPT);
    buf_cstr(out, "; list them in its domains");
    return true;
}

/* "the certificate at kong.yaml:12:9 ", before the first one; "" before others. */
static bool begin_first(const struct model *m, struct place place, size_t count, struct buf *out)
{
    if (count)
        return false;
    buf_cstr(out, "the certificate at ");
    render_place(m, place, out);
    buf_char(out, ' ');
    return true;
}

static void end_first(size_t count, struct buf *out)
{
    if (count > 1)
        buf_printf(out, "; so do%s %zu more", count == 2 ? "es" : "", count - 1);
}

size_t note_invalid(const struct model *m, const struct policy *policy, int64_t now,
                    struct buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < m->certificate_count; i++) {
        const struct certificate *c = &m->certificates[i];
        bool is_early = c->valid.from > now;

        if (explain_is_valid(c, policy, now))
            continue;
        if (begin_first(m, c->entity.place, count++, out))
            buf_printf(out, "%s %s", is_early ? "is not valid before" : "expired at",
                       clock_text(is_early ? c->valid.from : c->valid.to).text);
    }
    end_first(count, out);
    return count;
}

static bool is_mismatched(const struct sni *sni)
{
    const struct text *const texts[] = {&sni->certificate->cert, &sni->certificate->cert_alt};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (texts[i]->value.ptr && !pki_covers_sni(texts[i]->value, sni->name.value))
            return true;
    return false;
}

size_t note_mismatched(const struct model *m, struct str about, struct buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < m->sni_count; i++) {
        const struct sni *sni = &m->snis[i];

        if (!sni->certificate || sni->certificate->unresolved.ptr ||
            (about.ptr && hostname_rung_of(sni->name.value, about) == HOSTNAME_RUNGS) ||
            !is_mismatched(sni))
            continue;
        if (begin_first(m, sni->certificate->entity.place, count++, out)) {
            buf_cstr(out, "does not name its SNI ");
            buf_escaped(out, sni->name.value);
        }
    }
    end_first(count, out);
    return count;
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
