/* edgebci.Dense on a core with Helium: the kernels of the portable edgebci_dense.h, which says what they compute. Sums of
 * integers are exact, so every order gives the same bits.
 *
 * An instruction multiplies 16 columns and adds the products to a core register, in two beats of the multiplier, while
 * the next weights are loaded in two of the load pipe. Bound: four rows share a load of activations, so 64 products take
 * five loads, 10 beats, or 0.16 cycles each.
 */
#ifndef EDGEBCI_DENSE_H
#define EDGEBCI_DENSE_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_math.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include <arm_mve.h>
#endif

typedef struct {
    uint32_t rows;
    const int8_t *weight; /* [rows][columns] */
    const float *scale;   /* [rows], activation scale times weight scale */
    const float *bias;    /* [rows], or NULL: none */
} edgebci_dense_t;

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* The sum of `columns` products from `from` on; those past the end are left out by a predicate. */
static EDGEBCI_INLINE int32_t edgebci_dense_row(const int8_t *w, uint32_t from, uint32_t columns, const int8_t *q)
{
    int32_t sum = 0;
    for (uint32_t j = from; j < columns; j += 16) {
        const mve_pred16_t there = vctp8q(columns - j);
        sum = vmladavaq_p_s8(sum, vld1q_z_s8(w + j, there), vld1q_z_s8(q + j, there), there);
    }
    return sum;
}

static EDGEBCI_INLINE void edgebci_dense_four_rows(const int8_t *w, uint32_t columns, const int8_t *q, int32_t *sums)
{
    const uint32_t whole = columns / 16u * 16u;
    const int8_t *w0 = w, *w1 = w + columns, *w2 = w + 2 * columns, *w3 = w + 3 * columns;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const int8_t *x = q, *end = q + whole; x != end; x += 16, w0 += 16, w1 += 16, w2 += 16, w3 += 16) {
        const int8x16_t block = vld1q_s8(x);
        s0 = vmladavaq_s8(s0, vld1q_s8(w0), block);
        s1 = vmladavaq_s8(s1, vld1q_s8(w1), block);
        s2 = vmladavaq_s8(s2, vld1q_s8(w2), block);
        s3 = vmladavaq_s8(s3, vld1q_s8(w3), block);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    for (uint32_t i = 0; i < 4 && whole < columns; i++) {
        sums[i] += edgebci_dense_row(w + i * columns, whole, columns, q);
    }
}

/* Four sums in their rows' counts, each operation rounded once as edgebci_scaled does. */
static EDGEBCI_INLINE void edgebci_dense_scale_four(const int32_t *sums, const edgebci_dense_t *d, uint32_t row, float *y)
{
    const int32x4_t counts = {sums[0], sums[1], sums[2], sums[3]};
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(counts), vld1q_f32(d->scale + row));
    vst1q_f32(y + row, vaddq_f32(scaled, d->bias ? vld1q_f32(d->bias + row) : vdupq_n_f32(0.0f)));
}

#else /* the same program on a machine without Helium */

static EDGEBCI_INLINE int32_t edgebci_dense_row(const int8_t *w, uint32_t from, uint32_t columns, const int8_t *q)
{
    int32_t sum = 0;
    for (uint32_t j = from; j < columns; j++) {
        sum += w[j] * q[j];
    }
    return sum;
}

static EDGEBCI_INLINE void edgebci_dense_four_rows(const int8_t *w, uint32_t columns, const int8_t *q, int32_t *sums)
{
    for (uint32_t i = 0; i < 4; i++) {
        sums[i] = edgebci_dense_row(w + i * columns, 0, columns, q);
    }
}

static EDGEBCI_INLINE void edgebci_dense_scale_four(const int32_t *sums, const edgebci_dense_t *d, uint32_t row, float *y)
{
    for (uint32_t i = 0; i < 4; i++) {
        y[row + i] = edgebci_scaled(sums[i], d->scale, d->bias, row + i);
    }
}

#endif

static EDGEBCI_INLINE void edgebci_dense(const edgebci_dense_t *d, uint32_t columns, const int8_t *restrict q,
                                         float *restrict y)
{
    const int8_t *w = d->weight;
    uint32_t row = 0;
    for (; row + 4 <= d->rows; row += 4, w += 4 * columns) {
        int32_t sums[4];
        edgebci_dense_four_rows(w, columns, q, sums);
        edgebci_dense_scale_four(sums, d, row, y);
    }
    for (; row < d->rows; row++, w += columns) {
        y[row] = edgebci_scaled(edgebci_dense_row(w, 0, columns, q), d->scale, d->bias, row);
    }
}

#define EDGEBCI_DEFINE_DENSE(name, columns)                                                                  \
    static EDGEBCI_KERNEL void name(const edgebci_dense_t *d, const int8_t *restrict q, float *restrict y)   \
    {                                                                                                        \
        edgebci_dense(d, columns, q, y);                                                                     \
    }

#endif
