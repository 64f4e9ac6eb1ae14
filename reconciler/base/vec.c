#include "vec.h"

#include <stdint.h>
#include <stdlib.h>

/* From here on an array grows by an eighth: the kernel moves it without a copy. */
#define VEC_DOUBLED_BYTES ((size_t)64 << 20)

int vec_grow(void **items, size_t *cap, size_t item_size)
{
    size_t wanted = *cap * 2;
    void *grown;

    if (!*cap)
        wanted = 8;
    else if (*cap > VEC_DOUBLED_BYTES / item_size)
        wanted = *cap + *cap / 8;
    if (wanted > SIZE_MAX / 2 / item_size)
        return -1;
    grown = realloc(*items, wanted * item_size);
    if (!grown)
        return -1;
    *items = grown;
    *cap = wanted;
    return 0;
}
