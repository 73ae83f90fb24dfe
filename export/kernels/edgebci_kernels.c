/* Portable C99 kernels of the quantized decoder; see the header for layouts. */
#include "edgebci_kernels.h"

#include "edgebci_math.h"

EDGEBCI_KERNEL void edgebci_quantize_linear(const float *restrict x, float inverse_scale, uint32_t n,
                                            int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8(x[i], inverse_scale);
    }
}

/* lane_sum of x * x, without an array for the squares. */
static inline float sum_of_squares(const float *restrict x, uint32_t n)
{
    float l0 = x[0] * x[0], l1 = x[1] * x[1], l2 = x[2] * x[2], l3 = x[3] * x[3];
    for (uint32_t i = 4; i < n; i += 4) {
        l0 += x[i] * x[i];
        l1 += x[i + 1] * x[i + 1];
        l2 += x[i + 2] * x[i + 2];
        l3 += x[i + 3] * x[i + 3];
    }
    return (l0 + l1) + (l2 + l3);
}

EDGEBCI_KERNEL void edgebci_rms_norm_quantize(const edgebci_rms_norm_t *norm, const float *restrict x,
                                              int8_t *restrict q)
{
    const float mean_square = sum_of_squares(x, norm->size) * norm->inverse_size;
    const float r = edgebci_reciprocal_sqrt(mean_square + norm->epsilon);
    for (uint32_t i = 0; i < norm->size; i++) {
        q[i] = edgebci_quantize_int8((x[i] * r) * norm->gamma[i], norm->inverse_scale);
    }
}

EDGEBCI_KERNEL void edgebci_add(const float *x, const float *y, uint32_t n, float *sum)
{
    for (uint32_t i = 0; i < n; i++) {
        sum[i] = x[i] + y[i];
    }
}
