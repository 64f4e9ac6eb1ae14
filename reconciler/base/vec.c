#include "vec.h"

#include <stdint.h>
#include <stdlib.h>

int vec_grow(void **items, size_t *cap, size_t item_size)
{
    size_t wanted = *cap ? *cap * 2 : 8;
    void *grown;

    if (wanted > SIZE_MAX / 2 / item_size)
        return -1;
    grown = realloc(*items, wanted * item_size);
    if (!grown)
        return -1;
    *items = grown;
    *cap = wanted;
    return 0;
}
