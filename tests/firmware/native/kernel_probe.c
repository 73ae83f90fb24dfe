/* Array forms of the arithmetic, and flat-argument forms of the kernels, for tests through ctypes. */
#include "edgebci_activations.h"
#include "edgebci_kernels.h"
#include "edgebci_math.h"

#define PROBE(name)                                                  \
    void probe_##name(const float *x, uint32_t n, float *y);         \
    void probe_##name(const float *x, uint32_t n, float *y)          \
    {                                                                \
        for (uint32_t i = 0; i < n; i++) y[i] = edgebci_##name(x[i]); \
    }

PROBE(exp)
PROBE(log)
PROBE(softplus)
PROBE(silu)
PROBE(flush)
PROBE(sigmoid)
PROBE(tanh)
PROBE(gelu)
PROBE(reciprocal_sqrt)

void probe_quantize_int8(const float *x, float inverse_scale, uint32_t n, int8_t *y);
void probe_quantize_int8(const float *x, float inverse_scale, uint32_t n, int8_t *y)
{
    for (uint32_t i = 0; i < n; i++) y[i] = edgebci_quantize_int8(x[i], inverse_scale);
}

void probe_quantize_int16(const float *x, float inverse_scale, uint32_t n, int16_t *y);
void probe_quantize_int16(const float *x, float inverse_scale, uint32_t n, int16_t *y)
{
    for (uint32_t i = 0; i < n; i++) y[i] = edgebci_quantize_int16(x[i], inverse_scale);
}

float probe_lane_sum(const float *x, uint32_t n);
float probe_lane_sum(const float *x, uint32_t n)
{
    return edgebci_lane_sum(x, n);
}

void probe_dense(uint32_t rows, uint32_t columns, const int8_t *weight, const float *scale, const float *bias,
                 const int8_t *q, float *y);
void probe_dense(uint32_t rows, uint32_t columns, const int8_t *weight, const float *scale, const float *bias,
                 const int8_t *q, float *y)
{
    const edgebci_dense_t d = {rows, weight, scale, bias};
    edgebci_dense(&d, columns, q, y);
}

void probe_rms_norm_quantize(uint32_t n, const float *gamma, float inverse_size, float epsilon, float inverse_scale,
                             const float *x, int8_t *q);
void probe_rms_norm_quantize(uint32_t n, const float *gamma, float inverse_size, float epsilon, float inverse_scale,
                             const float *x, int8_t *q)
{
    const edgebci_rms_norm_t norm = {n, gamma, inverse_size, epsilon, inverse_scale};
    edgebci_rms_norm_quantize(&norm, x, q);
}

typedef struct {
    uint32_t heads, headdim, state_size, taps;
} probe_shape_t;

void probe_mamba2_step(const edgebci_mamba2_t *m, const probe_shape_t *s, float *p, int16_t *conv, int16_t *ssm,
                       float *g);
void probe_mamba2_step(const edgebci_mamba2_t *m, const probe_shape_t *s, float *p, int16_t *conv, int16_t *ssm,
                       float *g)
{
    const uint32_t d_inner = s->heads * s->headdim, conv_dim = d_inner + 2 * s->state_size;
    float *u = p + d_inner, *B = u + d_inner, *C = B + s->state_size;
    edgebci_mamba2_convolution(m, conv_dim, s->taps, u, conv);
    edgebci_mamba2_state(m, s->heads, s->headdim, s->state_size, u, B, C, u + conv_dim, ssm, g);
    edgebci_mamba2_gate(p, d_inner, g);
}
