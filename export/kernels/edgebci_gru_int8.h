/* edgebci.StateQuantizeInt8 and edgebci.GruStepInt8: those of edgebci_gru.h with an int8 hidden state of n units. */
#ifndef EDGEBCI_GRU_INT8_H
#define EDGEBCI_GRU_INT8_H

#include <stdint.h>

#include "edgebci_gru.h"

/* q[i] = round(h[i] * ratio), saturated: counts of the state to counts of the dense layer behind it. */
static EDGEBCI_INLINE void edgebci_state_quantize_int8(const int8_t *restrict h, float ratio, uint32_t n,
                                                       int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8((float)h[i], ratio);
    }
}

/* As edgebci_gru_step. */
static EDGEBCI_INLINE void edgebci_gru_step_int8(const float *restrict p, const float *restrict s, float scale,
                                                 float inverse_scale, uint32_t n, int8_t *restrict h,
                                                 float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        h[i] = edgebci_quantize_int8(edgebci_gru_unit(p, s, n, i, (float)h[i] * scale), inverse_scale);
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
