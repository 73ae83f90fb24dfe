/* edgebci.Stack: the last frames side by side, the newest first.
 *
 * EDGEBCI_DEFINE_STACK(name, lags, width) defines `void name(newest, stack, rows)`: newest [width]; stack [lags][width],
 * advanced in place; rows [lags + 1][width].
 */
#ifndef EDGEBCI_STACK_H
#define EDGEBCI_STACK_H

#include <stdint.h>

#include "edgebci_math.h"

static EDGEBCI_INLINE void edgebci_stack(uint32_t lags, uint32_t width, const int8_t *restrict newest,
                                         int8_t *restrict stack, int8_t *restrict rows)
{
    for (uint32_t i = 0; i < width; i++) {
        rows[i] = newest[i];
    }
    for (uint32_t i = 0; i < lags * width; i++) {
        rows[width + i] = stack[i];
    }
    for (uint32_t i = 0; i < lags * width; i++) {
        stack[i] = rows[i];
    }
}

#define EDGEBCI_DEFINE_STACK(name, lags, width)                                                                   \
    static EDGEBCI_KERNEL void name(const int8_t *restrict newest, int8_t *restrict stack, int8_t *restrict rows) \
    {                                                                                                             \
        edgebci_stack(lags, width, newest, stack, rows);                                                          \
    }

#endif
