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

/* Two sums as a pair of counts of y; x as in edgebci_dense_fixed. */
static inline uint32_t edgebci_dense_fixed_scaled(int32_t first, int32_t second, const int32_t *m, const int16_t *x)
{
    int32_t m0, bias0, m1, bias1;
    edgebci_load_four(m, &m0, &bias0, &m1, &bias1);
    if (x != NULL) {
        const uint32_t added = edgebci_load_pair(x);
        bias0 = edgebci_add_low(bias0, added);
        bias1 = edgebci_add_high(bias1, added);
    }
    const int32_t y0 = edgebci_smmlar(first, m0, bias0), y1 = edgebci_smmlar(second, m1, bias1);
    return edgebci_pair(edgebci_ssat16(y0), edgebci_ssat16(y1));
}

/* A group's four sums as counts of y; x [4] is added where it is not NULL. */
static EDGEBCI_INLINE void edgebci_dense_fixed_finish(edgebci_row_sums_t s, const int32_t *m, const int16_t *x, int16_t *y)
{
    edgebci_store_pair(y, edgebci_dense_fixed_scaled(s.high01, s.low01, m, x));
    edgebci_store_pair(y + 2, edgebci_dense_fixed_scaled(s.high23, s.low23, m + 4, x != NULL ? x + 2 : NULL));
}

/* Add what a segment gave. */
static EDGEBCI_INLINE void edgebci_dense_fixed_gather(edgebci_row_sums_t s, edgebci_row_sums_t *sums)
{
    sums->high01 += edgebci_row_high(s.high01, s.low01) >> 8;
    sums->low01 += s.low01;
    sums->high23 += edgebci_row_high(s.high23, s.low23) >> 8;
    sums->low23 += s.low23;
}

#if EDGEBCI_HAS_EIGHT_ROWS
/* Eight rows; columns is a constant multiple of 64. */
static EDGEBCI_INLINE void edgebci_dense_fixed_eight(const int16_t *weight, uint32_t columns, const int16_t *q,
                                                     edgebci_row_sums_t *first, edgebci_row_sums_t *second)
{
    for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_FIXED_SEGMENT) {
        edgebci_row_sums_t a, b;
        if (columns - begin >= EDGEBCI_FIXED_SEGMENT) {
            edgebci_eight_rows(weight + 2u * begin, 4u * columns, q + begin, EDGEBCI_FIXED_SEGMENT, &a, &b);
        } else {
            edgebci_eight_rows(weight + 2u * begin, 4u * columns, q + begin, 64, &a, &b);
        }
        edgebci_dense_fixed_gather(a, first);
        edgebci_dense_fixed_gather(b, second);
    }
}
#endif

/* x [rows] is added where it is not NULL. */
static EDGEBCI_INLINE void edgebci_dense_fixed(const edgebci_dense_fixed_t *d, uint32_t columns,
                                               const int16_t *q, const int16_t *x, int16_t *y)
{
    const int16_t *weight = d->weight;
    const int32_t *m = d->scaling;
    const int16_t *const end = y + d->rows;
#if EDGEBCI_HAS_EIGHT_ROWS
    for (const int16_t *last = columns % 64u == 0 ? y + d->rows / 8u * 8u : y; y != last; y += 8, m += 16) {
        edgebci_row_sums_t first = edgebci_no_sums(), second = edgebci_no_sums();
        edgebci_dense_fixed_eight(weight, columns, q, &first, &second);
        weight += 4u * columns;
        edgebci_dense_fixed_finish(first, m, x, y);
        edgebci_dense_fixed_finish(second, m + 8, x != NULL ? x + 4 : NULL, y + 4);
        x = x != NULL ? x + 8 : NULL;
    }
#endif
    for (; y != end; y += 4, m += 8) {
        edgebci_row_sums_t s = edgebci_no_sums();
        for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_FIXED_SEGMENT) {
            const uint32_t n = columns - begin < EDGEBCI_FIXED_SEGMENT ? columns - begin : EDGEBCI_FIXED_SEGMENT;
            edgebci_dense_fixed_gather(edgebci_row_pairs(weight, q + begin, n), &s);
            weight += 2u * n;
        }
        edgebci_dense_fixed_finish(s, m, x, y);
        x = x != NULL ? x + 4 : NULL;
    }
}

/* Four products; w is on a word. */
static inline int32_t edgebci_dense_readout_four(const int8_t *w, const int16_t *q, int32_t sum)
{
#if EDGEBCI_HAS_DSP
    const uint32_t weights = *(const edgebci_word_t *)(const void *)w;
    const uint32_t a = edgebci_load_pair(q), b = edgebci_load_pair(q + 2);
    sum = edgebci_smlad(edgebci_sxtb16(weights), edgebci_pair(edgebci_low_half(a), edgebci_low_half(b)), sum);
    return edgebci_smlad(edgebci_sxtb16(weights >> 8), edgebci_pair(edgebci_high_half(a), edgebci_high_half(b)), sum);
#else
    return sum + w[0] * q[0] + w[1] * q[1] + w[2] * q[2] + w[3] * q[3];
#endif
}

/* q [columns] int16 to y [rows] float; columns is a multiple of 4. */
static inline void edgebci_dense_readout(const edgebci_dense_readout_t *d, uint32_t columns, const int16_t *restrict q,
                                         float *restrict y)
{
    const int8_t *w = d->weight;
    for (uint32_t row = 0; row < d->rows; row++, w += columns) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < columns; j += 4) {
            sum = edgebci_dense_readout_four(w + j, q + j, sum);
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
