/* Kernels of the float32 decoder: one macro for each operator of the float ONNX graph, which defines the kernel for one
 * shape. They equal edgebci/operators/single.py bit for bit: float32, each operation rounded once; sums have four lanes,
 * those over taps go from the first to the last; what a state keeps below 1e-20 becomes zero.
 *
 * Loops are written so that a compiler finds vectors in them without reordering a sum.
 */
#ifndef EDGEBCI_FLOAT_H
#define EDGEBCI_FLOAT_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_activations.h"
#include "edgebci_float_dense.h"

/* edgebci.RmsNorm: y = x / rms(x) * gamma. */
typedef struct {
    const float *gamma; /* [n] */
    float inverse_size; /* 1 / n */
    float epsilon;
} edgebci_float_rms_norm_t;

static EDGEBCI_INLINE void edgebci_float_rms_norm(const edgebci_float_rms_norm_t *norm, uint32_t n,
                                                  const float *restrict x, float *restrict y)
{
    const float r = edgebci_reciprocal_sqrt(edgebci_float_dot(x, x, n) * norm->inverse_size + norm->epsilon);
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (x[i] * r) * norm->gamma[i];
    }
}

#define EDGEBCI_DEFINE_FLOAT_RMS_NORM(name, n)                                                                    \
    static EDGEBCI_KERNEL void name(const edgebci_float_rms_norm_t *norm, const float *restrict x,                \
                                    float *restrict y)                                                            \
    {                                                                                                             \
        edgebci_float_rms_norm(norm, n, x, y);                                                                    \
    }

/* edgebci.Mamba2Step. p [z | x | B | C | dt] is used up; conv [conv_dim][taps - 1], oldest first, and
 * ssm [heads][headdim][n] are advanced in place; g [heads * headdim]. */
typedef struct {
    const float *conv_weight; /* [conv_dim][taps], oldest tap first */
    const float *conv_bias;   /* [conv_dim] */
    const float *dt_bias;     /* [heads] */
    const float *A;           /* [heads], negative */
    const float *D;           /* [heads] */
} edgebci_float_mamba2_t;

/* Shifts each window by one and sums it; then SiLU, in place: xbc [conv_dim]. */
static EDGEBCI_INLINE void edgebci_float_mamba2_convolution(const edgebci_float_mamba2_t *m, uint32_t conv_dim,
                                                            uint32_t taps, float *restrict xbc, float *restrict conv)
{
    const uint32_t past = taps - 1u;
    const float *restrict w = m->conv_weight;
    for (uint32_t c = 0; c < conv_dim; c++, w += taps, conv += past) {
        const float newest = xbc[c];
        float sum = conv[0] * w[0];
        for (uint32_t k = 1; k < past; k++) {
            sum += conv[k] * w[k];
            conv[k - 1u] = conv[k];
        }
        conv[past - 1u] = newest;
        xbc[c] = (sum + newest * w[past]) + m->conv_bias[c];
    }
    for (uint32_t c = 0; c < conv_dim; c++) {
        xbc[c] = edgebci_silu(xbc[c]);
    }
}

/* One row of the state: h := h * decay + dx * B. */
static EDGEBCI_INLINE void edgebci_float_mamba2_row(float *restrict h, uint32_t n, const float *restrict B, float decay,
                                                    float dx)
{
    for (uint32_t j = 0; j < n; j++) {
        h[j] = edgebci_flush(h[j] * decay + dx * B[j]);
    }
}

/* All heads: state h := decay h + dt x B, y = C h + D x. x, y [heads * headdim]; B, C [n]. */
static EDGEBCI_INLINE void edgebci_float_mamba2_state(const edgebci_float_mamba2_t *m, uint32_t heads,
                                                      uint32_t headdim, uint32_t n, const float *restrict x,
                                                      float *restrict ssm, float *restrict y)
{
    const float *restrict B = x + heads * headdim, *restrict C = B + n, *restrict dt_raw = C + n;
    for (uint32_t head = 0; head < heads; head++) {
        const float dt = edgebci_softplus(dt_raw[head] + m->dt_bias[head]);
        const float decay = edgebci_exp(dt * m->A[head]), D = m->D[head];
        for (uint32_t i = 0; i < headdim; i++, ssm += n, x++, y++) {
            edgebci_float_mamba2_row(ssm, n, B, decay, dt * *x);
            *y = edgebci_float_dot(C, ssm, n) + D * *x;
        }
    }
}

/* Gate: y[i] *= silu(z[i]). */
static EDGEBCI_INLINE void edgebci_float_gate(const float *restrict z, uint32_t n, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = y[i] * edgebci_silu(z[i]);
    }
}

#define EDGEBCI_DEFINE_FLOAT_MAMBA2_STEP(name, heads, headdim, n, taps)                                           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_float_mamba2_t *m, float *restrict xbc,           \
                                                  float *restrict conv)                                           \
    {                                                                                                             \
        edgebci_float_mamba2_convolution(m, heads * headdim + 2u * n, taps, xbc, conv);                           \
    }                                                                                                             \
                                                                                                                  \
    static EDGEBCI_KERNEL void name##_state(const edgebci_float_mamba2_t *m, const float *restrict u,             \
                                            float *restrict ssm, float *restrict y)                               \
    {                                                                                                             \
        edgebci_float_mamba2_state(m, heads, headdim, n, u, ssm, y);                                              \
    }                                                                                                             \
                                                                                                                  \
    static EDGEBCI_KERNEL void name(const edgebci_float_mamba2_t *m, float *restrict p, float *restrict conv,     \
                                    float *restrict ssm, float *restrict g)                                       \
    {                                                                                                             \
        name##_convolution(m, p + heads * headdim, conv);                                                         \
        name##_state(m, p + heads * headdim, ssm, g);                                                             \
        edgebci_float_gate(p, heads * headdim, g);                                                                \
    }

/* edgebci.S4DStep: u [width]; modes [width][2 * n], real parts first, advanced in place; g [width]. */
typedef struct {
    const float *decay_real; /* [width][n] */
    const float *decay_imag; /* [width][n] */
    const float *inject;     /* [width][n] */
    const float *read;       /* [width][2 * n] */
    const float *skip;       /* [width] */
} edgebci_float_s4d_t;

static EDGEBCI_INLINE void edgebci_float_s4d_step(const edgebci_float_s4d_t *s, uint32_t width, uint32_t n,
                                                  const float *restrict u, float *restrict modes, float *restrict g)
{
    for (uint32_t c = 0; c < width; c++, modes += 2u * n) {
        const float *restrict a = s->decay_real + c * n, *restrict b = s->decay_imag + c * n;
        const float *restrict in = s->inject + c * n;
        for (uint32_t j = 0; j < n; j++) {
            const float real = modes[j], imag = modes[n + j];
            modes[j] = edgebci_flush((a[j] * real - b[j] * imag) + in[j] * u[c]);
            modes[n + j] = edgebci_flush(b[j] * real + a[j] * imag);
        }
        g[c] = edgebci_gelu(edgebci_float_dot(s->read + c * 2u * n, modes, 2u * n) + s->skip[c] * u[c]);
    }
}

#define EDGEBCI_DEFINE_FLOAT_S4D_STEP(name, width, n)                                                             \
    static EDGEBCI_KERNEL void name(const edgebci_float_s4d_t *s, const float *restrict u, float *restrict modes, \
                                    float *restrict g)                                                            \
    {                                                                                                             \
        edgebci_float_s4d_step(s, width, n, u, modes, g);                                                         \
    }

/* edgebci.GruStep: p, s [3 * n] in the order reset, update, new; h [n] advanced in place; y [n] its new value. */
static EDGEBCI_INLINE void edgebci_float_gru_step(const float *restrict p, const float *restrict s, uint32_t n,
                                                  float *restrict h, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        const float reset = edgebci_sigmoid(p[i] + s[i]);
        const float fresh = edgebci_tanh(p[2u * n + i] + reset * s[2u * n + i]);
        const float update = edgebci_sigmoid(p[n + i] + s[n + i]);
        h[i] = edgebci_flush(fresh + update * (h[i] - fresh));
        y[i] = h[i];
    }
}

#define EDGEBCI_DEFINE_FLOAT_GRU_STEP(name, n)                                                                    \
    static EDGEBCI_KERNEL void name(const float *restrict p, const float *restrict s, float *restrict h,          \
                                    float *restrict y)                                                            \
    {                                                                                                             \
        edgebci_float_gru_step(p, s, n, h, y);                                                                    \
    }

/* edgebci.Stack: newest [width]; stack [lags][width], advanced in place; rows [lags + 1][width]. */
static EDGEBCI_INLINE void edgebci_float_stack(uint32_t lags, uint32_t width, const float *restrict newest,
                                               float *restrict stack, float *restrict rows)
{
    for (uint32_t i = 0; i < width; i++) {
        rows[i] = newest[i];
    }
    for (uint32_t i = 0; i < lags * width; i++) {
        rows[width + i] = stack[i];
    }
    for (uint32_t i = 0; i < lags * width; i++) {
        stack[i] = rows[i];
    }
}

#define EDGEBCI_DEFINE_FLOAT_STACK(name, lags, width)                                                             \
    static EDGEBCI_KERNEL void name(const float *restrict newest, float *restrict stack, float *restrict rows)    \
    {                                                                                                             \
        edgebci_float_stack(lags, width, newest, stack, rows);                                                    \
    }

#endif
