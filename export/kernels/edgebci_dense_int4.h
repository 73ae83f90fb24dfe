/* edgebci.DenseInt4: int4 weights, two to a byte, times int8 activations, summed in int32, scaled to float.
 *
 * EDGEBCI_DEFINE_DENSE_INT4(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight [rows][EDGEBCI_EIGHTS(columns) / 2], each weight plus 8 in half a byte, the even column in the low half, each
 * row filled up with zeros to whole words; q [columns]; y [rows]. A sum of (w + 8) q is that of w q and 8 times the sum
 * of q, which is the same for all rows. Where the core has the DSP extension the stack holds q in int16.
 */
#ifndef EDGEBCI_DENSE_INT4_H
#define EDGEBCI_DENSE_INT4_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_dsp.h"

#define EDGEBCI_EIGHTS(columns) (((columns) + 7u) / 8u * 8u)

typedef struct {
    uint32_t rows;
    const uint8_t *weight; /* [rows][EDGEBCI_EIGHTS(columns) / 2] */
    const float *scale;    /* [rows], activation scale times weight scale */
    const float *bias;     /* [rows], or NULL: none */
} edgebci_dense_int4_t;

/* One row. */
static inline int32_t edgebci_dense_int4_row(const uint8_t *restrict w, uint32_t columns, const int8_t *restrict q)
{
    int32_t sum = columns % 2 ? (w[columns / 2] & 15) * q[columns - 1] : 0;
    for (uint32_t j = 0; j < columns / 2; j++) {
        sum += (w[j] & 15) * q[2 * j] + (w[j] >> 4) * q[2 * j + 1];
    }
    return sum;
}

/* Four rows at a time: one load of two activations serves eight multiplications. */
static inline void edgebci_dense_int4_four_rows(const uint8_t *restrict w, uint32_t columns, const int8_t *restrict q,
                                                int32_t *restrict sums)
{
    const uint32_t pitch = EDGEBCI_EIGHTS(columns) / 2;
    const uint8_t *restrict w0 = w;
    const uint8_t *restrict w1 = w0 + pitch;
    const uint8_t *restrict w2 = w1 + pitch;
    const uint8_t *restrict w3 = w2 + pitch;
    const uint32_t pairs = columns / 2;
    const int32_t last = columns % 2 ? q[columns - 1] : 0;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < pairs; j++) {
        const int32_t even = q[2 * j], odd = q[2 * j + 1];
        s0 += (w0[j] & 15) * even + (w0[j] >> 4) * odd;
        s1 += (w1[j] & 15) * even + (w1[j] >> 4) * odd;
        s2 += (w2[j] & 15) * even + (w2[j] >> 4) * odd;
        s3 += (w3[j] & 15) * even + (w3[j] >> 4) * odd;
    }
    if (columns % 2) {
        s0 += (w0[pairs] & 15) * last;
        s1 += (w1[pairs] & 15) * last;
        s2 += (w2[pairs] & 15) * last;
        s3 += (w3[pairs] & 15) * last;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* Eight weights of a row, the first in the lowest four bits. */
static inline uint32_t edgebci_load_int4(const uint8_t *at)
{
#if EDGEBCI_HAS_DSP
    return *(const edgebci_word_t *)(const void *)at;
#else
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
#endif
}

/* q in int16, of every eight columns 0 4 1 5 2 6 3 7: half a word apart, as their weights are; zeros fill it up. */
static EDGEBCI_INLINE void edgebci_int4_order(uint32_t columns, const int8_t *restrict q, int16_t *restrict x)
{
    for (uint32_t j = 0; j < EDGEBCI_EIGHTS(columns); j++) {
        x[j / 8 * 8 + j % 4 * 2 + j / 4 % 2] = j < columns ? q[j] : 0;
    }
}

/* Eight columns of a row: a mask leaves two weights, and one instruction multiplies and adds both. */
static EDGEBCI_INLINE int32_t edgebci_int4_eight(uint32_t w, uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3,
                                                 int32_t sum)
{
    const uint32_t mask = 0x000F000Fu;
    sum = edgebci_smlad(w & mask, x0, sum);
    sum = edgebci_smlad((w >> 4) & mask, x1, sum);
    sum = edgebci_smlad((w >> 8) & mask, x2, sum);
    return edgebci_smlad((w >> 12) & mask, x3, sum);
}

/* Four rows; x [EDGEBCI_EIGHTS(columns)] as edgebci_int4_order leaves it. */
static EDGEBCI_INLINE void edgebci_int4_four_rows(const uint8_t *restrict w, uint32_t columns,
                                                  const int16_t *restrict x, int32_t *restrict sums)
{
    const uint32_t pitch = EDGEBCI_EIGHTS(columns) / 2;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < columns; j += 8, w += 4) {
        uint32_t x0 = edgebci_load_pair(x + j), x1 = edgebci_load_pair(x + j + 2);
        uint32_t x2 = edgebci_load_pair(x + j + 4), x3 = edgebci_load_pair(x + j + 6);
        uint32_t w0 = edgebci_load_int4(w), w1 = edgebci_load_int4(w + pitch);
        uint32_t w2 = edgebci_load_int4(w + 2 * pitch), w3 = edgebci_load_int4(w + 3 * pitch);
        EDGEBCI_LOADED_4(x0, x1, x2, x3);
        EDGEBCI_LOADED_4(w0, w1, w2, w3);
        s0 = edgebci_int4_eight(w0, x0, x1, x2, x3, s0);
        s1 = edgebci_int4_eight(w1, x0, x1, x2, x3, s1);
        s2 = edgebci_int4_eight(w2, x0, x1, x2, x3, s2);
        s3 = edgebci_int4_eight(w3, x0, x1, x2, x3, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* x [EDGEBCI_EIGHTS(columns)] is work memory for the DSP extension, or NULL. */
static EDGEBCI_INLINE void edgebci_dense_int4(const edgebci_dense_int4_t *d, uint32_t columns,
                                              const int8_t *restrict q, int16_t *restrict x, float *restrict y)
{
    const uint32_t pitch = EDGEBCI_EIGHTS(columns) / 2;
    const uint8_t *w = d->weight;
    int32_t offset = 0;
    uint32_t row = 0;
    for (uint32_t j = 0; j < columns; j++) {
        offset += 8 * q[j];
    }
    if (x) {
        edgebci_int4_order(columns, q, x);
    }
    for (; row + 4 <= d->rows; row += 4, w += 4 * pitch) {
        int32_t sums[4];
        if (x) {
            edgebci_int4_four_rows(w, columns, x, sums);
        } else {
            edgebci_dense_int4_four_rows(w, columns, q, sums);
        }
        for (uint32_t i = 0; i < 4; i++) {
            y[row + i] = edgebci_scaled(sums[i] - offset, d->scale, d->bias, row + i);
        }
    }
    for (; row < d->rows; row++, w += pitch) {
        y[row] = edgebci_scaled(edgebci_dense_int4_row(w, columns, q) - offset, d->scale, d->bias, row);
    }
}

#define EDGEBCI_DEFINE_DENSE_INT4(name, columns)                                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_int4_t *d, const int8_t *restrict q, float *restrict y) \
    {                                                                                                           \
        int16_t x[EDGEBCI_HAS_DSP ? EDGEBCI_EIGHTS(columns) : 1] EDGEBCI_ALIGNED;                               \
        edgebci_dense_int4(d, columns, q, EDGEBCI_HAS_DSP ? x : NULL, y);                                       \
    }

#endif
