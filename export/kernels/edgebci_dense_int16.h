/* edgebci.DenseInt16: int16 weights times int8 activations, summed in int32, scaled to float.
 *
 * EDGEBCI_DEFINE_DENSE_INT16(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight [rows][columns], so small that 128 times the sum of a row's magnitudes fits an int32; q [columns]; y [rows].
 */
#ifndef EDGEBCI_DENSE_INT16_H
#define EDGEBCI_DENSE_INT16_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_math.h"

typedef struct {
    uint32_t rows;
    const int16_t *weight; /* [rows][columns] */
    const float *scale;    /* [rows], activation scale times weight scale */
    const float *bias;     /* [rows], or NULL: none */
} edgebci_dense_int16_t;

static EDGEBCI_INLINE void edgebci_dense_int16(const edgebci_dense_int16_t *d, uint32_t columns,
                                               const int8_t *restrict q, float *restrict y)
{
    const int16_t *w = d->weight;
    for (uint32_t row = 0; row < d->rows; row++, w += columns) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < columns; j++) {
            sum += w[j] * q[j];
        }
        y[row] = (float)sum * d->scale[row] + (d->bias != NULL ? d->bias[row] : 0.0f);
    }
}

#define EDGEBCI_DEFINE_DENSE_INT16(name, columns)                                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_int16_t *d, const int8_t *restrict q, float *restrict y) \
    {                                                                                                            \
        edgebci_dense_int16(d, columns, q, y);                                                                   \
    }

#endif
