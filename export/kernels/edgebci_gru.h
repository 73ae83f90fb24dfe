/* edgebci.StateQuantize and edgebci.GruStep: one step of one stream with an int16 hidden state of n units.
 *
 * EDGEBCI_DEFINE_STATE_QUANTIZE(name, n) defines `void name(h, ratio, q)`, EDGEBCI_DEFINE_GRU_STEP(name, n)
 * `void name(p, s, scale, inverse_scale, h, y)`.
 */
#ifndef EDGEBCI_GRU_H
#define EDGEBCI_GRU_H

#include <stdint.h>

#include "edgebci_activations.h"

/* q[i] = round(h[i] * ratio), saturated: counts of the state to counts of the dense layer behind it. */
static EDGEBCI_INLINE void edgebci_state_quantize(const int16_t *restrict h, float ratio, uint32_t n,
                                                  int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8((float)h[i], ratio);
    }
}

/* What unit i becomes, from what it was; p, s [3 * n] in the order reset, update, new. */
static EDGEBCI_INLINE float edgebci_gru_unit(const float *restrict p, const float *restrict s, uint32_t n, uint32_t i,
                                             float before)
{
    const float reset = edgebci_sigmoid(p[i] + s[i]);
    const float fresh = edgebci_tanh(p[2u * n + i] + reset * s[2u * n + i]);
    const float update = edgebci_sigmoid(p[n + i] + s[n + i]);
    return fresh + update * (before - fresh);
}

/* p and s as above; h [n] advanced in place; y [n] its new value. */
static EDGEBCI_INLINE void edgebci_gru_step(const float *restrict p, const float *restrict s, float scale,
                                            float inverse_scale, uint32_t n, int16_t *restrict h, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        h[i] = edgebci_quantize_int16(edgebci_gru_unit(p, s, n, i, (float)h[i] * scale), inverse_scale);
        y[i] = (float)h[i] * scale;
    }
}

#define EDGEBCI_DEFINE_STATE_QUANTIZE(name, n)                                                                    \
    static EDGEBCI_KERNEL void name(const int16_t *restrict h, float ratio, int8_t *restrict q)                   \
    {                                                                                                             \
        edgebci_state_quantize(h, ratio, n, q);                                                                   \
    }

#define EDGEBCI_DEFINE_GRU_STEP(name, n)                                                                          \
    static EDGEBCI_KERNEL void name(const float *restrict p, const float *restrict s, float scale,                \
                                    float inverse_scale, int16_t *restrict h, float *restrict y)                  \
    {                                                                                                             \
        edgebci_gru_step(p, s, scale, inverse_scale, n, h, y);                                                    \
    }

#endif
