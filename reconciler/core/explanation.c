#include "reconciler/core/explanation.h"

#include <stdlib.h>

#include "reconciler/core/render.h"

#define TOPIC_WIDTH 11

void explanation_fini(struct explanation *x)
{
    for (size_t i = 0; i < x->count; i++) {
        buf_free(&x->links[i].text);
        vec_free(&x->links[i].places);
    }
}

static struct explanation_link *last_link(struct explanation *x)
{
    return &x->links[x->count - 1];
}

struct buf *explanation_begin(struct explanation *x, const char *topic)
{
    if (x->count == EXPLANATION_LINKS_MAX)
        BUG("an explanation longer than EXPLANATION_LINKS_MAX");
    x->links[x->count++] =
        (struct explanation_link){.topic = topic, .text = BUF_INIT(EXPLANATION_TEXT_MAX)};
    return &last_link(x)->text;
}

void explanation_add_place(struct explanation *x, struct place place)
{
    if (vec_push(&last_link(x)->places, place))
        x->failed = true;
}

void explanation_write_places(struct explanation *x, size_t from)
{
    struct explanation_link *link = last_link(x);

    if (link->places.len == from)
        return;
    buf_cstr(&link->text, " (");
    render_places_raw(x->model, link->places.items + from, link->places.len - from, &link->text);
    buf_char(&link->text, ')');
}

void explanation_at(struct explanation *x, struct place place)
{
    explanation_add_place(x, place);
    explanation_write_places(x, last_link(x)->places.len - 1);
}

static bool is_whole(const struct explanation *x)
{
    for (size_t i = 0; i < x->count; i++)
        if (x->links[i].text.failed)
            return false;
    return !x->failed;
}

bool explanation_print_text(const struct explanation *x, struct buf *out)
{
    if (!is_whole(x))
        return false;
    for (size_t i = 0; i < x->count; i++) {
        const struct explanation_link *link = &x->links[i];

        buf_printf(out, "  %-*s  ", TOPIC_WIDTH, link->topic);
        render_outside(buf_view(&link->text), out);
        buf_char(out, '\n');
    }
    return !out->failed;
}

static void json_places(const struct explanation *x, const struct explanation_link *link,
                        struct json_out *j)
{
    struct buf text = BUF_INIT(EXPLANATION_TEXT_MAX);

    json_out_member_array(j, "declared_at");
    for (size_t i = 0; i < link->places.len; i++) {
        buf_clear(&text);
        render_place_raw(x->model, link->places.items[i], &text);
        json_out_str(j, buf_view(&text));
    }
    json_out_end(j);
    buf_free(&text);
}

bool explanation_print_json(const struct explanation *x, struct json_out *j)
{
    if (!is_whole(x))
        return false;
    json_out_array(j);
    for (size_t i = 0; i < x->count; i++) {
        json_out_object(j);
        json_out_member_cstr(j, "topic", x->links[i].topic);
        json_out_member_str(j, "text", buf_view(&x->links[i].text));
        json_places(x, &x->links[i], j);
        json_out_end(j);
    }
    json_out_end(j);
    return !j->out->failed;
}
