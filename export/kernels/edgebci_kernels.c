/* Portable C99 kernels of the quantized decoder; see the header for layouts. */
#include "edgebci_kernels.h"

#include <stddef.h>

#include "edgebci_math.h"

EDGEBCI_KERNEL void edgebci_quantize_linear(const float *restrict x, float inverse_scale, uint32_t n,
                                            int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8(x[i], inverse_scale);
    }
}

static inline float scaled(int32_t sum, const edgebci_dense_t *d, uint32_t row)
{
    return (float)sum * d->scale[row] + (d->bias != NULL ? d->bias[row] : 0.0f);
}

/* Four rows at a time: one load of an activation serves four multiplications. */
static inline void dense_four_rows(const edgebci_dense_t *d, uint32_t row, const int8_t *restrict q, float *restrict y)
{
    const uint32_t columns = d->columns;
    const int8_t *restrict w0 = d->weight + row * columns;
    const int8_t *restrict w1 = w0 + columns;
    const int8_t *restrict w2 = w1 + columns;
    const int8_t *restrict w3 = w2 + columns;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < columns; j++) {
        const int32_t x = q[j];
        s0 += w0[j] * x;
        s1 += w1[j] * x;
        s2 += w2[j] * x;
        s3 += w3[j] * x;
    }
    y[row] = scaled(s0, d, row);
    y[row + 1] = scaled(s1, d, row + 1);
    y[row + 2] = scaled(s2, d, row + 2);
    y[row + 3] = scaled(s3, d, row + 3);
}

EDGEBCI_KERNEL void edgebci_dense(const edgebci_dense_t *d, const int8_t *restrict q, float *restrict y)
{
    uint32_t row = 0;
    for (; row + 4 <= d->rows; row += 4) {
        dense_four_rows(d, row, q, y);
    }
    for (; row < d->rows; row++) {
        const int8_t *restrict w = d->weight + row * d->columns;
        int32_t sum = 0;
        for (uint32_t j = 0; j < d->columns; j++) {
            sum += w[j] * q[j];
        }
        y[row] = scaled(sum, d, row);
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

/* Causal depthwise convolution and SiLU, in place: xbc [conv_dim] -> u [conv_dim]; shifts the window by one. */
static EDGEBCI_KERNEL void mamba2_convolution(const edgebci_mamba2_t *m, uint32_t conv_dim, float *restrict xbc,
                                              int16_t *restrict conv)
{
    const uint32_t past = m->taps - 1;
    const int8_t *restrict w = m->conv_weight;
    for (uint32_t c = 0; c < conv_dim; c++) {
        const int16_t newest = edgebci_quantize_int16(xbc[c], m->conv_inverse_scale[c]);
        int32_t sum = w[past] * newest;
        for (uint32_t k = 0; k < past; k++) {
            sum += w[k] * conv[k];
        }
        for (uint32_t k = 1; k < past; k++) {
            conv[k - 1] = conv[k];
        }
        conv[past - 1] = newest;
        xbc[c] = edgebci_silu((float)sum * m->conv_out_scale[c] + m->conv_bias[c]);
        w += m->taps;
        conv += past;
    }
}

/* One element of the state: h := round(h * decay + input), in counts. Returns the new h as a float. */
static inline float advance(int16_t *h, float decay, float input)
{
    const float v = edgebci_clamp((float)*h * decay + input, -32768.0f, 32767.0f);
    const int32_t count = edgebci_round(v);
    *h = (int16_t)count;
    return (float)count;
}

/* One row of a head: h [n] advances by dxs * B, returns C . h in the lane order; n is a multiple of 4. */
static inline float advance_row(int16_t *restrict h, const float *restrict B, const float *restrict C, float decay,
                                float dxs, uint32_t n)
{
    float l0 = C[0] * advance(h + 0, decay, dxs * B[0]);
    float l1 = C[1] * advance(h + 1, decay, dxs * B[1]);
    float l2 = C[2] * advance(h + 2, decay, dxs * B[2]);
    float l3 = C[3] * advance(h + 3, decay, dxs * B[3]);
    for (uint32_t i = 4; i < n; i += 4) {
        l0 += C[i + 0] * advance(h + i + 0, decay, dxs * B[i + 0]);
        l1 += C[i + 1] * advance(h + i + 1, decay, dxs * B[i + 1]);
        l2 += C[i + 2] * advance(h + i + 2, decay, dxs * B[i + 2]);
        l3 += C[i + 3] * advance(h + i + 3, decay, dxs * B[i + 3]);
    }
    return (l0 + l1) + (l2 + l3);
}

/* All heads: state h := decay h + dt x B, y = C h + D x. x, y [heads * headdim]; ssm [heads][headdim][n]. */
static EDGEBCI_KERNEL void mamba2_state(const edgebci_mamba2_t *m, const float *restrict x, const float *restrict B,
                                        const float *restrict C, const float *restrict dt_raw, int16_t *restrict ssm,
                                        float *restrict y)
{
    const uint32_t n = m->state_size;
    for (uint32_t h = 0; h < m->heads; h++) {
        const float dt = edgebci_softplus(dt_raw[h] + m->dt_bias[h]);
        const float decay = edgebci_exp(dt * m->A[h]);
        const float scale = m->ssm_scale[h], inverse_scale = m->ssm_inverse_scale[h], D = m->D[h];
        for (uint32_t i = 0; i < m->headdim; i++) {
            const float dxs = (dt * *x) * inverse_scale;
            *y = advance_row(ssm, B, C, decay, dxs, n) * scale + D * *x;
            ssm += n;
            x++;
            y++;
        }
    }
}

/* Gate: y[i] *= silu(z[i]). */
static EDGEBCI_KERNEL void mamba2_gate(const float *restrict z, uint32_t n, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = y[i] * edgebci_silu(z[i]);
    }
}

EDGEBCI_KERNEL void edgebci_mamba2_step(const edgebci_mamba2_t *m, float *restrict p, int16_t *restrict conv,
                                        int16_t *restrict ssm, float *restrict g)
{
    const uint32_t d_inner = m->heads * m->headdim;
    const uint32_t conv_dim = d_inner + 2 * m->state_size;
    float *const xbc = p + d_inner;
    const float *const B = xbc + d_inner;
    const float *const C = B + m->state_size;
    mamba2_convolution(m, conv_dim, xbc, conv);
    mamba2_state(m, xbc, B, C, xbc + conv_dim, ssm, g);
    mamba2_gate(p, d_inner, g);
}

EDGEBCI_KERNEL void edgebci_add(const float *x, const float *y, uint32_t n, float *sum)
{
    for (uint32_t i = 0; i < n; i++) {
        sum[i] = x[i] + y[i];
    }
}
