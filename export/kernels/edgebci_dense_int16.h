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

/* Four rows at a time: one load of an activation serves four multiplications. */
static inline void edgebci_dense_int16_four_rows(const int16_t *restrict w, uint32_t columns,
                                                 const int8_t *restrict q, int32_t *restrict sums)
{
    const int16_t *restrict w0 = w;
    const int16_t *restrict w1 = w0 + columns;
    const int16_t *restrict w2 = w1 + columns;
    const int16_t *restrict w3 = w2 + columns;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < columns; j++) {
        const int32_t x = q[j];
        s0 += w0[j] * x;
        s1 += w1[j] * x;
        s2 += w2[j] * x;
        s3 += w3[j] * x;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static EDGEBCI_INLINE void edgebci_dense_int16(const edgebci_dense_int16_t *d, uint32_t columns,
                                               const int8_t *restrict q, float *restrict y)
{
    const int16_t *w = d->weight;
    uint32_t row = 0;
    for (; row + 4 <= d->rows; row += 4, w += 4 * columns) {
        int32_t sums[4];
        edgebci_dense_int16_four_rows(w, columns, q, sums);
        for (uint32_t i = 0; i < 4; i++) {
            y[row + i] = edgebci_scaled(sums[i], d->scale, d->bias, row + i);
        }
    }
    for (; row < d->rows; row++, w += columns) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < columns; j++) {
            sum += w[j] * q[j];
        }
        y[row] = edgebci_scaled(sum, d->scale, d->bias, row);
    }
}

#define EDGEBCI_DEFINE_DENSE_INT16(name, columns)                                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_int16_t *d, const int8_t *restrict q, float *restrict y) \
    {                                                                                                            \
        edgebci_dense_int16(d, columns, q, y);                                                                   \
    }

#endif
