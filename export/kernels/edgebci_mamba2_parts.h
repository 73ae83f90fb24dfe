/* edgebci.Mamba2Step: its three parts, with int16 states. edgebci_mamba2.h says how the arrays lie. */
#ifndef EDGEBCI_MAMBA2_PARTS_H
#define EDGEBCI_MAMBA2_PARTS_H

#include <stdint.h>

#include "edgebci_mamba2_layer.h"
#include "edgebci_math.h"

/* Causal depthwise convolution and SiLU, in place: xbc [conv_dim] -> u [conv_dim]; shifts the window by one. */
static EDGEBCI_INLINE void edgebci_mamba2_convolution(const edgebci_mamba2_t *m, uint32_t conv_dim, uint32_t taps,
                                                      float *restrict xbc, int16_t *restrict conv)
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
        xbc[c] = edgebci_silu((float)sum * m->conv_out_scale[c] + m->conv_bias[c]);
        w += taps;
        conv += past;
    }
}

/* Four elements of a row: h := round(h * decay + dxs * B), saturated; adds C * h to the lanes.
 *
 * The sum with EDGEBCI_ROUNDER holds the rounded value in its low 16 bits, and is h again once the constant is
 * subtracted. Values that need saturation leave the range of such sums; one test finds them for all four. */
static inline void edgebci_mamba2_advance(int16_t *restrict h, const float *restrict B, const float *restrict C,
                                          float decay, float dxs, float *restrict lanes)
{
    float v[4], rounded[4];
    uint32_t outside = 0;
    for (uint32_t i = 0; i < 4; i++) {
        v[i] = (float)h[i] * decay + dxs * B[i];
        rounded[i] = v[i] + EDGEBCI_ROUNDER;
        outside |= edgebci_bits(rounded[i]) - EDGEBCI_ROUNDED_LOWEST_INT16;
    }
    if (outside > 0xFFFFu) {
        for (uint32_t i = 0; i < 4; i++) {
            rounded[i] = edgebci_clamp(v[i], -32768.0f, 32767.0f) + EDGEBCI_ROUNDER;
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        h[i] = (int16_t)(uint16_t)edgebci_bits(rounded[i]);
        lanes[i] += C[i] * (rounded[i] - EDGEBCI_ROUNDER);
    }
}

/* All heads: state h := decay h + dt x B, y = C h + D x. x, y [heads * headdim]; B, C [N]. */
static EDGEBCI_INLINE void edgebci_mamba2_state(const edgebci_mamba2_t *m, uint32_t heads, uint32_t headdim, uint32_t n,
                                                const float *restrict x, const float *restrict B,
                                                const float *restrict C, const float *restrict dt_raw,
                                                int16_t *restrict ssm, float *restrict y)
{
    for (uint32_t head = 0; head < heads; head++) {
        const float dt = edgebci_softplus(dt_raw[head] + m->dt_bias[head]);
        const float decay = edgebci_exp(dt * m->A[head]);
        const float scale = m->ssm_scale[head], inverse_scale = m->ssm_inverse_scale[head], D = m->D[head];
        for (uint32_t i = 0; i < headdim; i++) {
            const float dxs = (dt * *x) * inverse_scale;
            /* -0 + v is v for every v: the lanes begin with their first element, as in lane_sum. */
            float lanes[4] = {-0.0f, -0.0f, -0.0f, -0.0f};
            for (uint32_t j = 0; j < n; j += 4) {
                edgebci_mamba2_advance(ssm + j, B + j, C + j, decay, dxs, lanes);
            }
            *y = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) * scale + D * *x;
            ssm += n;
            x++;
            y++;
        }
    }
}

/* Gate: y[i] *= silu(z[i]). */
static EDGEBCI_INLINE void edgebci_mamba2_gate(const float *restrict z, uint32_t n, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = y[i] * edgebci_silu(z[i]);
    }
}

#endif
