/* edgebci.RmsNorm: y = x / rms(x) * gamma, in float.
 *
 * EDGEBCI_DEFINE_RMS_NORM(name, n) defines `void name(norm, x, y)` for n values, a multiple of 4.
 */
#ifndef EDGEBCI_RMS_NORM_H
#define EDGEBCI_RMS_NORM_H

#include <stdint.h>

#include "edgebci_math.h"

typedef struct {
    const float *gamma; /* [n] */
    float inverse_size; /* 1 / n */
    float epsilon;
} edgebci_float_norm_t;

static EDGEBCI_INLINE void edgebci_rms_norm(const edgebci_float_norm_t *norm, uint32_t n, const float *restrict x,
                                            float *restrict y)
{
    const float mean_square = edgebci_lane_dot(x, x, n) * norm->inverse_size;
    const float r = edgebci_reciprocal_sqrt(mean_square + norm->epsilon);
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (x[i] * r) * norm->gamma[i];
    }
}

#define EDGEBCI_DEFINE_RMS_NORM(name, n)                                                                          \
    static EDGEBCI_KERNEL void name(const edgebci_float_norm_t *norm, const float *restrict x, float *restrict y) \
    {                                                                                                             \
        edgebci_rms_norm(norm, n, x, y);                                                                          \
    }

#endif
