/* edgebci.Mamba2Step on a processor with vectors: the three parts of the portable header of this name, eight elements
 * at a time. Sums over the state keep their four lanes.
 */
#ifndef EDGEBCI_MAMBA2_PARTS_H
#define EDGEBCI_MAMBA2_PARTS_H

#include <stdint.h>

#include "edgebci_mamba2_layer.h"
#include "edgebci_vector.h"

/* Quantizes the newest inputs, sums the windows and shifts them by one. Its steps are written apart so that compilers
 * find the vectors in each. */
static EDGEBCI_INLINE void edgebci_mamba2_taps(const edgebci_mamba2_t *m, uint32_t conv_dim, uint32_t taps,
                                               const float *restrict xbc, int16_t *restrict conv,
                                               int32_t *restrict sums)
{
    const uint32_t past = taps - 1;
    const int8_t *restrict w = m->conv_weight;
    for (uint32_t c = 0; c < conv_dim; c++) {
        const int16_t newest = edgebci_quantize_int16(xbc[c], m->conv_inverse_scale[c]);
        int32_t sum = w[past] * newest;
        for (uint32_t k = 0; k < past; k++) {
            sum += w[k] * conv[k];
        }
        for (uint32_t k = 1; k < past; k++) {
            conv[k - 1] = conv[k];
        }
        conv[past - 1] = newest;
        sums[c] = sum;
        w += taps;
        conv += past;
    }
}

/* Causal depthwise convolution and SiLU, in place: xbc [conv_dim] -> u [conv_dim]; shifts the window by one. */
static EDGEBCI_INLINE void edgebci_mamba2_convolution(const edgebci_mamba2_t *m, uint32_t conv_dim, uint32_t taps,
                                                      float *restrict xbc, int16_t *restrict conv)
{
    int32_t sums[conv_dim];
    edgebci_mamba2_taps(m, conv_dim, taps, xbc, conv, sums);
    uint32_t c = 0;
    for (; c + EDGEBCI_WIDTH <= conv_dim; c += EDGEBCI_WIDTH) {
        const edgebci_f8 sum = __builtin_convertvector(*(const edgebci_i8_in_memory *)(sums + c), edgebci_f8);
        edgebci_store8(xbc + c, edgebci_silu8(sum * edgebci_load8(m->conv_out_scale + c) + edgebci_load8(m->conv_bias + c)));
    }
    for (; c < conv_dim; c++) {
        xbc[c] = edgebci_silu((float)sums[c] * m->conv_out_scale[c] + m->conv_bias[c]);
    }
}

/* Eight elements of a row: h := round(h * decay + dxs * B), saturated; returns C * h. */
static EDGEBCI_INLINE edgebci_f8 edgebci_mamba2_eight(int16_t *restrict h, const float *restrict B,
                                                      const float *restrict C, float decay, float dxs)
{
    const edgebci_f8 v = edgebci_load_int16_8(h) * decay + dxs * edgebci_load8(B);
    const edgebci_i8 counts = edgebci_round8(edgebci_clamp8(v, -32768.0f, 32767.0f));
    edgebci_store_int16_8(h, counts);
    return edgebci_load8(C) * __builtin_convertvector(counts, edgebci_f8);
}

/* The same of four elements. */
static EDGEBCI_INLINE edgebci_f4 edgebci_mamba2_four(int16_t *restrict h, const float *restrict B,
                                                     const float *restrict C, float decay, float dxs)
{
    edgebci_f4 products;
    for (uint32_t i = 0; i < 4; i++) {
        h[i] = edgebci_quantize_int16((float)h[i] * decay + dxs * B[i], 1.0f);
        products[i] = C[i] * (float)h[i];
    }
    return products;
}

/* A row, the state of one value of x: its lanes. */
static EDGEBCI_INLINE edgebci_f4 edgebci_mamba2_row(int16_t *restrict h, uint32_t n, const float *restrict B,
                                                    const float *restrict C, float decay, float dxs)
{
    edgebci_f4 lanes = edgebci_no_lanes();
    uint32_t j = 0;
    for (; j + EDGEBCI_WIDTH <= n; j += EDGEBCI_WIDTH) {
        lanes = edgebci_into_lanes(lanes, edgebci_mamba2_eight(h + j, B + j, C + j, decay, dxs));
    }
    for (; j < n; j += 4) {
        lanes = lanes + edgebci_mamba2_four(h + j, B + j, C + j, decay, dxs);
    }
    return lanes;
}

/* One head: what edgebci_mamba2_state does for it. `by` is what turns dt x into counts of the state. */
static EDGEBCI_INLINE void edgebci_mamba2_head(uint32_t headdim, uint32_t n, const float *restrict x,
                                               const float *restrict B, const float *restrict C, float dt, float decay,
                                               float by, float scale, float D, int16_t *restrict ssm,
                                               float *restrict y)
{
    uint32_t i = 0;
    for (; i + 4 <= headdim; i += 4) {
        const edgebci_f4 four = edgebci_load4(x + i), dxs = (dt * four) * by;
        edgebci_f4 lanes[4];
        for (uint32_t k = 0; k < 4; k++) {
            lanes[k] = edgebci_mamba2_row(ssm + (i + k) * n, n, B, C, decay, dxs[k]);
        }
        const edgebci_f4 sums = edgebci_of_four_lanes(lanes[0], lanes[1], lanes[2], lanes[3]);
        *(edgebci_f4_in_memory *)(y + i) = sums * scale + D * four;
    }
    for (; i < headdim; i++) {
        const edgebci_f4 lanes = edgebci_mamba2_row(ssm + i * n, n, B, C, decay, (dt * x[i]) * by);
        y[i] = edgebci_of_lanes(lanes) * scale + D * x[i];
    }
}

/* All heads: state h := decay h + dt x B, y = C h + D x. x, y [heads * headdim]; B, C [N]. */
static EDGEBCI_INLINE void edgebci_mamba2_state(const edgebci_mamba2_t *m, uint32_t heads, uint32_t headdim, uint32_t n,
                                                const float *restrict x, const float *restrict B,
                                                const float *restrict C, const float *restrict dt_raw,
                                                int16_t *restrict ssm, float *restrict y)
{
    float dt[heads], decay[heads]; /* before the rows, so that the heads' exponentials overlap */
    for (uint32_t head = 0; head < heads; head++) {
        dt[head] = edgebci_softplus(dt_raw[head] + m->dt_bias[head]);
        decay[head] = edgebci_exp(dt[head] * m->A[head]);
    }
    for (uint32_t head = 0; head < heads; head++) {
        edgebci_mamba2_head(headdim, n, x + head * headdim, B, C, dt[head], decay[head], m->ssm_inverse_scale[head],
                            m->ssm_scale[head], m->D[head], ssm + head * headdim * n, y + head * headdim);
    }
}

/* Gate: y[i] *= silu(z[i]). */
static EDGEBCI_INLINE void edgebci_mamba2_gate(const float *restrict z, uint32_t n, float *restrict y)
{
    uint32_t i = 0;
    for (; i + EDGEBCI_WIDTH <= n; i += EDGEBCI_WIDTH) {
        edgebci_store8(y + i, edgebci_load8(y + i) * edgebci_silu8(edgebci_load8(z + i)));
    }
    for (; i < n; i++) {
        y[i] = y[i] * edgebci_silu(z[i]);
    }
}

#endif
