/* Kernels of the quantized decoder: one function for each operator of its ONNX graph, under the operator's name.
 *
 * They equal edgebci/quantized_decoder.py bit for bit. Constants come in `const` descriptions that live in flash;
 * states and work arrays belong to the caller; nothing is kept here. All arrays are dense and row-major. The two large
 * operators are defined for the shapes that a decoder has: edgebci_dense.h, edgebci_mamba2.h.
 */
#ifndef EDGEBCI_KERNELS_H
#define EDGEBCI_KERNELS_H

#include <stdint.h>

#include "edgebci_dense.h"
#include "edgebci_mamba2.h"

/* q = quantize(x / rms(x) * gamma). */
typedef struct {
    uint32_t size;       /* multiple of 4 */
    const float *gamma;  /* [size] */
    float inverse_size;  /* 1 / size */
    float epsilon;
    float inverse_scale; /* 1 / scale of q */
} edgebci_rms_norm_t;

/* QuantizeLinear: q[i] = round(x[i] * inverse_scale), saturated to int8. */
void edgebci_quantize_linear(const float *restrict x, float inverse_scale, uint32_t n, int8_t *restrict q);

/* edgebci.RmsNormQuantize: x [size] -> int8 q [size]. */
void edgebci_rms_norm_quantize(const edgebci_rms_norm_t *norm, const float *restrict x, int8_t *restrict q);

/* Add: sum[i] = x[i] + y[i]; sum may be x or y. */
void edgebci_add(const float *x, const float *y, uint32_t n, float *sum);

#endif
