/* Kernels of the quantized decoder: one function for each operator of its ONNX graph, under the operator's name.
 *
 * They equal edgebci/quantized_decoder.py bit for bit. Shapes and scales come in `const` descriptions that live in
 * flash; states and work arrays belong to the caller; nothing is kept here. All arrays are dense and row-major.
 * Restrictions, checked by the generator: lengths of float sums are multiples of 4; columns <= 65536, so that an int32
 * holds every dot product (65536 * 128 * 128 = 2^30).
 */
#ifndef EDGEBCI_KERNELS_H
#define EDGEBCI_KERNELS_H

#include <stdint.h>

/* y = (W q) * scale + bias. */
typedef struct {
    uint32_t rows, columns;
    const int8_t *weight;  /* [rows][columns], -127..127 */
    const float *scale;    /* [rows], activation scale times weight scale */
    const float *bias;     /* [rows], or NULL: none */
} edgebci_dense_t;

/* q = quantize(x / rms(x) * gamma). */
typedef struct {
    uint32_t size;         /* multiple of 4 */
    const float *gamma;    /* [size] */
    float inverse_size;    /* 1 / size */
    float epsilon;
    float inverse_scale;   /* 1 / scale of q */
} edgebci_rms_norm_t;

/* One Mamba-2 step of one stream, states in int16. */
typedef struct {
    uint32_t heads, headdim, state_size, taps;
    const int8_t *conv_weight;          /* [conv_dim][taps], oldest tap first */
    const float *conv_inverse_scale;    /* [conv_dim] to the int16 window */
    const float *conv_out_scale;        /* [conv_dim] from the int32 sum */
    const float *conv_bias;             /* [conv_dim] */
    const float *dt_bias;               /* [heads] */
    const float *A;                     /* [heads], negative */
    const float *D;                     /* [heads] */
    const float *ssm_scale;             /* [heads] value of one count of h */
    const float *ssm_inverse_scale;     /* [heads] */
} edgebci_mamba2_t;

/* QuantizeLinear: q[i] = round(x[i] * inverse_scale), saturated to int8. */
void edgebci_quantize_linear(const float *restrict x, float inverse_scale, uint32_t n, int8_t *restrict q);

/* edgebci.Dense: int8 activations q [columns] -> float y [rows]; int32 sums. */
void edgebci_dense(const edgebci_dense_t *d, const int8_t *restrict q, float *restrict y);

/* edgebci.RmsNormQuantize: x [size] -> int8 q [size]. */
void edgebci_rms_norm_quantize(const edgebci_rms_norm_t *norm, const float *restrict x, int8_t *restrict q);

/* edgebci.Mamba2Step: p [z | x | B | C | dt] -> g [heads * headdim].
 * p is used up (the convolution writes over x, B, C). Both states are advanced in place:
 * conv [conv_dim][taps - 1], oldest first; ssm [heads][headdim][state_size]. */
void edgebci_mamba2_step(const edgebci_mamba2_t *m, float *restrict p, int16_t *restrict conv, int16_t *restrict ssm,
                         float *restrict g);

/* Add: sum[i] = x[i] + y[i]; sum may be x or y. */
void edgebci_add(const float *x, const float *y, uint32_t n, float *sum);

#endif
