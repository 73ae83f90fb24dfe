/* edgebci.DenseInt4: int4 weights, two to a byte, times int8 activations, summed in int32, scaled to float.
 *
 * EDGEBCI_DEFINE_DENSE_INT4(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight [rows][(columns + 1) / 2], each weight plus 8 in half a byte, the even column in the low half; q [columns];
 * y [rows]. A sum of (w + 8) q is that of w q and 8 times the sum of q, which is the same for all rows.
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

/* Four rows at a time: one load of two activations serves eight multiplications. The columns beyond the last pair are
 * left to the caller. */
static inline void edgebci_dense_int4_four_rows(const uint8_t *restrict w, uint32_t columns, const int8_t *restrict q,
                                                int32_t *restrict sums)
{
    const uint32_t pitch = (columns + 1) / 2;
    const uint8_t *restrict w0 = w;
    const uint8_t *restrict w1 = w0 + pitch;
    const uint8_t *restrict w2 = w1 + pitch;
    const uint8_t *restrict w3 = w2 + pitch;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < columns / 2; j++) {
        const int32_t even = q[2 * j], odd = q[2 * j + 1];
        s0 += (w0[j] & 15) * even + (w0[j] >> 4) * odd;
        s1 += (w1[j] & 15) * even + (w1[j] >> 4) * odd;
        s2 += (w2[j] & 15) * even + (w2[j] >> 4) * odd;
        s3 += (w3[j] & 15) * even + (w3[j] >> 4) * odd;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static EDGEBCI_INLINE void edgebci_dense_int4(const edgebci_dense_int4_t *d, uint32_t columns,
                                              const int8_t *restrict q, float *restrict y)
{
    const uint32_t pitch = (columns + 1) / 2, pairs = columns / 2;
    const uint8_t *w = d->weight;
    const int32_t last = columns % 2 ? q[columns - 1] : 0;
    int32_t offset = 0;
    uint32_t row = 0;
    for (uint32_t j = 0; j < columns; j++) {
        offset += 8 * q[j];
    }
    for (; row + 4 <= d->rows; row += 4, w += 4 * pitch) {
        int32_t sums[4];
        edgebci_dense_int4_four_rows(w, columns, q, sums);
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t rest = columns % 2 ? (w[i * pitch + pairs] & 15) * last : 0;
            y[row + i] = edgebci_scaled(sums[i] + rest - offset, d->scale, d->bias, row + i);
        }
    }
    for (; row < d->rows; row++, w += pitch) {
        int32_t sum = columns % 2 ? (w[pairs] & 15) * last : 0;
        for (uint32_t j = 0; j < pairs; j++) {
            sum += (w[j] & 15) * q[2 * j] + (w[j] >> 4) * q[2 * j + 1];
        }
        y[row] = edgebci_scaled(sum - offset, d->scale, d->bias, row);
    }
}

#define EDGEBCI_DEFINE_DENSE_INT4(name, columns)                                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_int4_t *d, const int8_t *restrict q, float *restrict y) \
    {                                                                                                           \
        edgebci_dense_int4(d, columns, q, y);                                                                   \
    }

#endif
