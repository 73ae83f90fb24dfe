/* edgebci.DenseFixed, edgebci.DenseFixedAdd, edgebci.DenseFixedReadout: int8 weights times int16 activations.
 *
 * EDGEBCI_DEFINE_DENSE_FIXED(name, columns) defines `void name(d, q, y)`: y = saturated(bias + S multiplier / 2^32),
 * EDGEBCI_DEFINE_DENSE_FIXED_ADD(name, columns) `void name(d, q, x, y)`, which adds x [rows]. S is the exact sum; scales
 * make sure that it fits.
 * rows and columns are multiples of 4, filled up with zeros; weight as edgebci_row_pairs.h has it; q [columns] and
 * y [rows] are int16 on a word.
 */
#ifndef EDGEBCI_DENSE_FIXED_H
#define EDGEBCI_DENSE_FIXED_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_row_pairs.h"

#define EDGEBCI_FIXED_SEGMENT 128u /* columns whose sum is below 2^23 */

typedef struct {
    uint32_t rows;
    const int16_t *weight;
    const int32_t *scaling; /* [rows][2]: multiplier, bias */
} edgebci_dense_fixed_t;

typedef struct {
    uint32_t rows;
    const int8_t *weight; /* [rows][columns] */
    const float *scale;   /* [rows] */
    const float *bias;    /* [rows] */
} edgebci_dense_readout_t;

/* Four rows of one segment, added to sums. */
static EDGEBCI_INLINE edgebci_row_sums_t edgebci_dense_fixed_segment(const int16_t *weight, const int16_t *q, uint32_t n,
                                                                     edgebci_row_sums_t sums)
{
    const edgebci_row_sums_t s = edgebci_row_pairs(weight, q, n);
    sums.high01 += edgebci_row_high(s.high01, s.low01) >> 8;
    sums.low01 += s.low01;
    sums.high23 += edgebci_row_high(s.high23, s.low23) >> 8;
    sums.low23 += s.low23;
    return sums;
}

/* Two sums as a pair of counts of y; x as in edgebci_dense_fixed. */
static inline uint32_t edgebci_dense_fixed_scaled(int32_t first, int32_t second, const int32_t *m, const int16_t *x)
{
    int32_t m0 = m[0], bias0 = m[1], m1 = m[2], bias1 = m[3];
    if (x != NULL) {
        uint32_t added = edgebci_load_pair(x);
        EDGEBCI_LOADED_5(m0, bias0, m1, bias1, added);
        bias0 = edgebci_add_low(bias0, added);
        bias1 = edgebci_add_high(bias1, added);
    } else {
        EDGEBCI_LOADED_4(m0, bias0, m1, bias1);
    }
    const int32_t y0 = edgebci_smmlar(first, m0, bias0), y1 = edgebci_smmlar(second, m1, bias1);
    return edgebci_pair(edgebci_ssat16(y0), edgebci_ssat16(y1));
}

/* x [rows] is added where it is not NULL. */
static EDGEBCI_INLINE void edgebci_dense_fixed(const edgebci_dense_fixed_t *d, uint32_t columns,
                                               const int16_t *q, const int16_t *x, int16_t *y)
{
    const int16_t *weight = d->weight;
    const int32_t *m = d->scaling;
    for (const int16_t *end = y + d->rows; y != end; y += 4, m += 8) {
        edgebci_row_sums_t s = {0, 0, 0, 0};
        for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_FIXED_SEGMENT) {
            const uint32_t n = columns - begin < EDGEBCI_FIXED_SEGMENT ? columns - begin : EDGEBCI_FIXED_SEGMENT;
            s = edgebci_dense_fixed_segment(weight, q + begin, n, s);
            weight += 2u * n;
        }
        edgebci_store_pair(y, edgebci_dense_fixed_scaled(s.high01, s.low01, m, x));
        edgebci_store_pair(y + 2, edgebci_dense_fixed_scaled(s.high23, s.low23, m + 4, x != NULL ? x + 2 : NULL));
        x = x != NULL ? x + 4 : NULL;
    }
}

/* q [columns] int16 to y [rows] float. */
static inline void edgebci_dense_readout(const edgebci_dense_readout_t *d, uint32_t columns, const int16_t *restrict q,
                                         float *restrict y)
{
    const int8_t *w = d->weight;
    for (uint32_t row = 0; row < d->rows; row++, w += columns) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < columns; j++) {
            sum += w[j] * q[j];
        }
        y[row] = (float)sum * d->scale[row] + d->bias[row];
    }
}

#define EDGEBCI_DEFINE_DENSE_FIXED(name, columns)                                                                     \
    static EDGEBCI_KERNEL void name(const edgebci_dense_fixed_t *d, const int16_t *q, int16_t *y)                     \
    {                                                                                                                 \
        edgebci_dense_fixed(d, columns, q, NULL, y);                                                                     \
    }

#define EDGEBCI_DEFINE_DENSE_FIXED_ADD(name, columns)                                                                 \
    static EDGEBCI_KERNEL void name(const edgebci_dense_fixed_t *d, const int16_t *q, const int16_t *x, int16_t *y)   \
    {                                                                                                                 \
        edgebci_dense_fixed(d, columns, q, x, y);                                                                     \
    }

#define EDGEBCI_DEFINE_DENSE_READOUT(name, columns)                                                                   \
    static EDGEBCI_KERNEL void name(const edgebci_dense_readout_t *d, const int16_t *restrict q, float *restrict y)   \
    {                                                                                                                 \
        edgebci_dense_readout(d, columns, q, y);                                                                      \
    }

#endif
