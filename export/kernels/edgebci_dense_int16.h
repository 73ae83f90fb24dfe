/* edgebci.DenseInt16: int16 weights times int8 activations, summed in int32, scaled to float.
 *
 * EDGEBCI_DEFINE_DENSE_INT16(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight [rows][columns], so small that 128 times the sum of a row's magnitudes fits an int32; q [columns]; y [rows].
 * Where the core has the DSP extension and columns come by twos, the stack holds q in int16.
 */
#ifndef EDGEBCI_DENSE_INT16_H
#define EDGEBCI_DENSE_INT16_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_dsp.h"

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

/* The same of columns that come by twos, with x [columns] in int16: two multiplications in one instruction. */
static EDGEBCI_INLINE void edgebci_int16_four_rows(const int16_t *restrict w, uint32_t columns,
                                                   const int16_t *restrict x, int32_t *restrict sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma GCC unroll 4
    for (uint32_t j = 0; j < columns; j += 2) {
        uint32_t pair = edgebci_load_pair(x + j);
        uint32_t w0 = edgebci_load_pair(w + j), w1 = edgebci_load_pair(w + columns + j);
        uint32_t w2 = edgebci_load_pair(w + 2 * columns + j), w3 = edgebci_load_pair(w + 3 * columns + j);
        EDGEBCI_LOADED_5(pair, w0, w1, w2, w3);
        s0 = edgebci_smlad(w0, pair, s0);
        s1 = edgebci_smlad(w1, pair, s1);
        s2 = edgebci_smlad(w2, pair, s2);
        s3 = edgebci_smlad(w3, pair, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* x [columns] is work memory for columns that come by twos, or NULL. */
static EDGEBCI_INLINE void edgebci_dense_int16(const edgebci_dense_int16_t *d, uint32_t columns,
                                               const int8_t *restrict q, int16_t *restrict x, float *restrict y)
{
    const int16_t *w = d->weight;
    uint32_t row = 0;
    for (uint32_t j = 0; x && j < columns; j++) {
        x[j] = q[j];
    }
    for (; row + 4 <= d->rows; row += 4, w += 4 * columns) {
        int32_t sums[4];
        if (x) {
            edgebci_int16_four_rows(w, columns, x, sums);
        } else {
            edgebci_dense_int16_four_rows(w, columns, q, sums);
        }
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
        int16_t x[EDGEBCI_HAS_DSP && (columns) % 2 == 0 ? (columns) : 1] EDGEBCI_ALIGNED;                        \
        edgebci_dense_int16(d, columns, q, sizeof x > sizeof *x ? x : NULL, y);                                  \
    }

#endif
