/* edgebci.StateQuantizeInt8 and edgebci.GruStepInt8: those of edgebci_gru.h with an int8 hidden state of n units. */
#ifndef EDGEBCI_GRU_INT8_H
#define EDGEBCI_GRU_INT8_H

#include <stdint.h>

#include "edgebci_activations.h"

/* q[i] = round(h[i] * ratio), saturated: counts of the state to counts of the dense layer behind it. */
static EDGEBCI_INLINE void edgebci_state_quantize_int8(const int8_t *restrict h, float ratio, uint32_t n,
                                                       int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8((float)h[i], ratio);
    }
}

/* p, s [3 * n] in the order reset, update, new; h [n] advanced in place; y [n] its new value. */
static EDGEBCI_INLINE void edgebci_gru_step_int8(const float *restrict p, const float *restrict s, float scale,
                                                 float inverse_scale, uint32_t n, int8_t *restrict h,
                                                 float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        const float reset = edgebci_sigmoid(p[i] + s[i]);
        const float fresh = edgebci_tanh(p[2u * n + i] + reset * s[2u * n + i]);
        const float update = edgebci_sigmoid(p[n + i] + s[n + i]);
        const float before = (float)h[i] * scale;
        h[i] = edgebci_quantize_int8(fresh + update * (before - fresh), inverse_scale);
        y[i] = (float)h[i] * scale;
    }
}

#define EDGEBCI_DEFINE_STATE_QUANTIZE_INT8(name, n)                                                               \
    static EDGEBCI_KERNEL void name(const int8_t *restrict h, float ratio, int8_t *restrict q)                    \
    {                                                                                                             \
        edgebci_state_quantize_int8(h, ratio, n, q);                                                              \
    }

#define EDGEBCI_DEFINE_GRU_STEP_INT8(name, n)                                                                     \
    static EDGEBCI_KERNEL void name(const float *restrict p, const float *restrict s, float scale,                \
                                    float inverse_scale, int8_t *restrict h, float *restrict y)                   \
    {                                                                                                             \
        edgebci_gru_step_int8(p, s, scale, inverse_scale, n, h, y);                                               \
    }

#endif
