#include "tests/support/storage_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "tests/support/value_sample.h"

#define TEXT_MAX 4096

static struct model_row *row_of(struct storage_model *m, const char *key)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].key, key) == 0)
            return &m->rows[i];
    if (m->count == MODEL_ROWS)
        BUG("more keys than the model holds");
    snprintf(m->rows[m->count].key, sizeof(m->rows[0].key), "%s", key);
    m->rows[m->count].text[0] = '\0';
    return &m->rows[m->count++];
}

static void set(char *room, size_t size, struct buf *b)
{
    if (b->failed || b->len >= size)
        BUG("longer than the model holds");
    snprintf(room, size, "%s", b->data ? b->data : "");
    buf_free(b);
}

void storage_model_put(struct storage_model *m, const struct value *v)
{
    struct buf key = BUF_INIT(TEXT_MAX), text = BUF_INIT(TEXT_MAX);
    char name[160];
    struct model_row *row;
    struct error e;

    if (value_key(v, &key, &e))
        BUG("no key");
    set(name, sizeof(name), &key);
    row = row_of(m, name);
    if (!v->gone)
        value_sample_print(v, &text);
    set(row->text, sizeof(row->text), &text);
}

static int take(void *context, const struct value *v, struct error *e)
{
    (void)e;
    storage_model_put(context, v);
    return 0;
}

int storage_model_load(struct storage_model *m, const struct storage_model *order, struct file *s,
                       struct storage_problems *problems, struct error *e)
{
    m->count = order->count;
    for (size_t i = 0; i < order->count; i++) {
        memcpy(m->rows[i].key, order->rows[i].key, sizeof(m->rows[i].key));
        m->rows[i].text[0] = '\0';
    }
    return file_load(s, take, m, problems, e);
}

size_t storage_model_differences(const struct storage_model *a, const struct storage_model *b,
                                 size_t *row)
{
    size_t count = a->count > b->count ? a->count : b->count;
    size_t differences = 0;

    for (size_t i = 0; i < count; i++) {
        const char *left = i < a->count ? a->rows[i].text : "";
        const char *right = i < b->count ? b->rows[i].text : "";
        if (strcmp(left, right) == 0)
            continue;
        differences++;
        if (row)
            *row = i;
    }
    return differences;
}

int file_put_values(struct file *f, const struct value *values, size_t count, struct error *e)
{
    struct storage_change *changes = calloc(count + 1, sizeof(*changes));
    int rc;

    if (!changes)
        BUG("out of memory");
    for (size_t i = 0; i < count; i++)
        changes[i].value = &values[i];
    rc = file_put(f, changes, count, e) == STORAGE_OK ? 0 : -1;
    free(changes);
    return rc;
}
