/* edgebci.Mamba2StepInt8: edgebci.Mamba2Step with h in int8; the window of the convolution stays int16.
 *
 * EDGEBCI_DEFINE_MAMBA2_STEP_INT8(name, heads, headdim, state_size, taps) defines `void name(m, p, conv, ssm, g)` and
 * its three parts, as edgebci_mamba2.h does, with ssm [heads][headdim][N] in int8.
 */
#ifndef EDGEBCI_MAMBA2_INT8_H
#define EDGEBCI_MAMBA2_INT8_H

#include <stdint.h>

#include "edgebci_mamba2.h"

/* The bits of EDGEBCI_ROUNDER - 128: sums of it with values from -128 to 127 lie in the 256 patterns from there on. */
#define EDGEBCI_ROUNDED_LOWEST_INT8 0x4B3FFF80u

/* Four elements of a row: h := round(h * decay + dxs * B), saturated; adds C * h to the lanes. As in edgebci_mamba2_parts.h,
 * one test finds for all four whether any needs saturation. */
static inline void edgebci_mamba2_advance_int8(int8_t *restrict h, const float *restrict B, const float *restrict C,
                                               float decay, float dxs, float *restrict lanes)
{
    float v[4], rounded[4];
    uint32_t outside = 0;
    for (uint32_t i = 0; i < 4; i++) {
        v[i] = (float)h[i] * decay + dxs * B[i];
        rounded[i] = v[i] + EDGEBCI_ROUNDER;
        outside |= edgebci_bits(rounded[i]) - EDGEBCI_ROUNDED_LOWEST_INT8;
    }
    if (outside > 0xFFu) {
        for (uint32_t i = 0; i < 4; i++) {
            rounded[i] = edgebci_clamp(v[i], -128.0f, 127.0f) + EDGEBCI_ROUNDER;
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        h[i] = (int8_t)(uint8_t)edgebci_bits(rounded[i]);
        lanes[i] += C[i] * (rounded[i] - EDGEBCI_ROUNDER);
    }
}

/* One row of h; returns C h in the order of lane_sum. */
static EDGEBCI_INLINE float edgebci_mamba2_row_int8(uint32_t n, const float *restrict B, const float *restrict C,
                                                    float decay, float dxs, int8_t *restrict h)
{
    float lanes[4] = {-0.0f, -0.0f, -0.0f, -0.0f};
    for (uint32_t j = 0; j < n; j += 4) {
        edgebci_mamba2_advance_int8(h + j, B + j, C + j, decay, dxs, lanes);
    }
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/* All heads: edgebci_mamba2_state with h in int8. */
static EDGEBCI_INLINE void edgebci_mamba2_state_int8(const edgebci_mamba2_t *m, uint32_t heads, uint32_t headdim,
                                                     uint32_t n, const float *restrict x, const float *restrict B,
                                                     const float *restrict C, const float *restrict dt_raw,
                                                     int8_t *restrict ssm, float *restrict y)
{
    for (uint32_t head = 0; head < heads; head++) {
        const float dt = edgebci_softplus(dt_raw[head] + m->dt_bias[head]);
        const float decay = edgebci_exp(dt * m->A[head]);
        for (uint32_t i = 0; i < headdim; i++, ssm += n) {
            const float dxs = (dt * *x) * m->ssm_inverse_scale[head];
            *y++ = edgebci_mamba2_row_int8(n, B, C, decay, dxs, ssm) * m->ssm_scale[head] + m->D[head] * *x;
            x++;
        }
    }
}

#define EDGEBCI_DEFINE_MAMBA2_STEP_INT8(name, heads, headdim, state_size, taps)                                        \
    EDGEBCI_DEFINE_MAMBA2_STEP_OF(int8_t, edgebci_mamba2_state_int8, name, heads, headdim, state_size, taps)

#endif
