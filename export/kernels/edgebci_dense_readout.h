/* edgebci.DenseFixedReadout: int8 weights times int16 activations, to float32.
 *
 * EDGEBCI_DEFINE_DENSE_READOUT(name, columns) defines `void name(d, q, y)`: y = S scale + bias. columns is a multiple of
 * 4; weight is on a word, as q [columns] is.
 */
#ifndef EDGEBCI_DENSE_READOUT_H
#define EDGEBCI_DENSE_READOUT_H

#include <stdint.h>

#include "edgebci_dsp.h"
#include "edgebci_helium.h"

typedef struct {
    uint32_t rows;
    const int8_t *weight; /* [rows][columns] */
    const float *scale;   /* [rows] */
    const float *bias;    /* [rows] */
} edgebci_dense_readout_t;

#if EDGEBCI_HAS_HELIUM
static EDGEBCI_INLINE int32_t edgebci_dense_readout_row(const int8_t *w, uint32_t columns, const int16_t *q)
{
    int32_t sum = 0;
    for (uint32_t j = 0; j < columns; j += 8) {
        const mve_pred16_t there = vctp16q(columns - j);
        sum = vmladavaq_p_s16(sum, vldrbq_z_s16(w + j, there), vld1q_z_s16(q + j, there), there);
    }
    return sum;
}
#else
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

static EDGEBCI_INLINE int32_t edgebci_dense_readout_row(const int8_t *w, uint32_t columns, const int16_t *q)
{
    int32_t sum = 0;
    for (uint32_t j = 0; j < columns; j += 4) {
        sum = edgebci_dense_readout_four(w + j, q + j, sum);
    }
    return sum;
}
#endif

/* q [columns] int16 to y [rows] float; columns is a multiple of 4. */
static EDGEBCI_INLINE void edgebci_dense_readout(const edgebci_dense_readout_t *d, uint32_t columns,
                                                 const int16_t *restrict q, float *restrict y)
{
    for (uint32_t row = 0; row < d->rows; row++) {
        const int32_t sum = edgebci_dense_readout_row(d->weight + columns * row, columns, q);
        y[row] = (float)sum * d->scale[row] + d->bias[row];
    }
}

#define EDGEBCI_DEFINE_DENSE_READOUT(name, columns)                                                                   \
    static EDGEBCI_KERNEL void name(const edgebci_dense_readout_t *d, const int16_t *restrict q, float *restrict y)   \
    {                                                                                                                 \
        edgebci_dense_readout(d, columns, q, y);                                                                      \
    }

#endif
