/* edgebci.DenseInt4: int4 weights, two to a byte, times int8 activations, summed in int32, scaled to float.
 *
 * EDGEBCI_DEFINE_DENSE_INT4(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight [rows][(columns + 1) / 2], the even column in the low half of a byte, two's complement; q [columns]; y [rows].
 */
#ifndef EDGEBCI_DENSE_INT4_H
#define EDGEBCI_DENSE_INT4_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_math.h"

typedef struct {
    uint32_t rows;
    const uint8_t *weight; /* [rows][(columns + 1) / 2] */
    const float *scale;    /* [rows], activation scale times weight scale */
    const float *bias;     /* [rows], or NULL: none */
} edgebci_dense_int4_t;

/* Two weights in one byte, signed: (v ^ 8) - 8 is the value of a nibble in two's complement. */
static inline int32_t edgebci_low_int4(uint8_t both)
{
    return (int32_t)((both & 15u) ^ 8u) - 8;
}

static inline int32_t edgebci_high_int4(uint8_t both)
{
    return (int32_t)((both >> 4) ^ 8u) - 8;
}

static EDGEBCI_INLINE void edgebci_dense_int4(const edgebci_dense_int4_t *d, uint32_t columns,
                                              const int8_t *restrict q, float *restrict y)
{
    const uint8_t *w = d->weight;
    for (uint32_t row = 0; row < d->rows; row++) {
        int32_t sum = 0;
        uint32_t j = 0;
        for (; j + 2 <= columns; j += 2, w++) {
            sum += edgebci_low_int4(*w) * q[j] + edgebci_high_int4(*w) * q[j + 1];
        }
        if (j < columns) {
            sum += edgebci_low_int4(*w++) * q[j];
        }
        y[row] = (float)sum * d->scale[row] + (d->bias != NULL ? d->bias[row] : 0.0f);
    }
}

#define EDGEBCI_DEFINE_DENSE_INT4(name, columns)                                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_int4_t *d, const int8_t *restrict q, float *restrict y) \
    {                                                                                                           \
        edgebci_dense_int4(d, columns, q, y);                                                                   \
    }

#endif
