/* Kernels of decoders that were made elsewhere: the C twin of edgebci/foreign/functions.py, equal bit for bit.
 *
 * A kernel is defined for one size and one way of reading its operands: `element`, `a_i`, ... are expressions in `i`,
 * so that slices, transposes and broadcasts are read where they lie.
 */
#ifndef EDGEBCI_FOREIGN_H
#define EDGEBCI_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_activations.h"
#include "edgebci_dense.h"

#define EDGEBCI_SQRT_TWO 0x1.6a09e6p+0f

static inline float edgebci_foreign_copy(float x) { return x; }
static inline float edgebci_foreign_add(float x, float y) { return x + y; }
static inline float edgebci_foreign_subtract(float x, float y) { return x - y; }
static inline float edgebci_foreign_multiply(float x, float y) { return x * y; }
static inline float edgebci_foreign_divide(float x, float y) { return x / y; }
static inline float edgebci_foreign_minimum(float x, float y) { return x < y ? x : y; }
static inline float edgebci_foreign_maximum(float x, float y) { return x > y ? x : y; }
static inline float edgebci_foreign_negative(float x) { return -x; }
static inline float edgebci_foreign_absolute(float x) { return edgebci_abs(x); }
static inline float edgebci_foreign_sqrt(float x) { return edgebci_sqrt(x); }
static inline float edgebci_foreign_exp(float x) { return edgebci_exp(x); }
static inline float edgebci_foreign_log(float x) { return edgebci_log(x); }
static inline float edgebci_foreign_power(float x, float y) { return edgebci_exp(y * edgebci_log(x)); }
static inline float edgebci_foreign_relu(float x) { return x > 0.0f ? x : 0.0f; }
static inline float edgebci_foreign_leaky_relu(float x, float slope) { return x > 0.0f ? x : x * slope; }
static inline float edgebci_foreign_sigmoid(float x) { return edgebci_sigmoid(x); }
static inline float edgebci_foreign_tanh(float x) { return edgebci_tanh(x); }
static inline float edgebci_foreign_softplus(float x) { return edgebci_softplus(x); }
static inline float edgebci_foreign_silu(float x) { return edgebci_silu(x); }
static inline float edgebci_foreign_gelu(float x) { return edgebci_gelu(x); }
static inline float edgebci_foreign_equal(float x, float y) { return x == y ? 1.0f : 0.0f; }
static inline float edgebci_foreign_less(float x, float y) { return x < y ? 1.0f : 0.0f; }
static inline float edgebci_foreign_less_equal(float x, float y) { return x <= y ? 1.0f : 0.0f; }
static inline float edgebci_foreign_select(float c, float x, float y) { return c != 0.0f ? x : y; }
static inline int8_t edgebci_foreign_quantize(float x, float inverse) { return edgebci_quantize_int8(x, inverse); }

/* The error function: 2 gelu(z) / z - 1 with z = sqrt(2) |x|; odd. */
static inline float edgebci_foreign_erf(float x)
{
    const float z = edgebci_abs(x) * EDGEBCI_SQRT_TWO;
    if (!(z > EDGEBCI_TINY)) {
        return 0.0f;
    }
    const float twice = edgebci_gelu(z) / z;
    const float value = (twice + twice) - 1.0f;
    return x < 0.0f ? -value : value;
}

/* y[i] = function of one, two or three elements; y may be an operand that is read at i alone. */
#define EDGEBCI_DEFINE_MAP_1(name, type, n, function, a_i)                                                            \
    static EDGEBCI_KERNEL void name(const float *a, type *y)                                                          \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            y[i] = function(a[a_i]);                                                                                  \
        }                                                                                                             \
    }

#define EDGEBCI_DEFINE_MAP_2(name, type, n, function, a_i, b_i)                                                       \
    static EDGEBCI_KERNEL void name(const float *a, const float *b, type *y)                                          \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            y[i] = function(a[a_i], b[b_i]);                                                                          \
        }                                                                                                             \
    }

#define EDGEBCI_DEFINE_MAP_3(name, type, n, function, a_i, b_i, c_i)                                                  \
    static EDGEBCI_KERNEL void name(const float *a, const float *b, const float *c, type *y)                          \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            y[i] = function(a[a_i], b[b_i], c[c_i]);                                                                  \
        }                                                                                                             \
    }

/* (lane 0 + lane 1) + (lane 2 + lane 3) of four lanes of which the first given is lane `turned`. */
static EDGEBCI_INLINE float edgebci_foreign_lanes(float l0, float l1, float l2, float l3, uint32_t turned)
{
    const int odd = (turned & 1u) != 0;
    const float first = odd ? l3 + l0 : l0 + l1, second = odd ? l1 + l2 : l2 + l3;
    return turned == 2u || turned == 3u ? second + first : first + second;
}

/* y[o] = sum of `inner` elements: lane j adds elements j, j + 4, ... to zero; then (l0 + l1) + (l2 + l3). The lanes take
 * turns as scalars: an array of them, indexed, made programs of many sums crash when built by clang 22.1.8 at -O2 and
 * -O3 for a processor with AVX2, not without its loop vectorizer and not for plain x86-64 (no bound is exceeded). */
#define EDGEBCI_DEFINE_FOLD_SUM(name, outer, inner, a_i)                                                              \
    static EDGEBCI_KERNEL void name(const float *restrict a, float *restrict y)                                       \
    {                                                                                                                 \
        uint32_t i = 0;                                                                                               \
        for (uint32_t o = 0; o < (outer); o++) {                                                                      \
            float l0 = 0.0f, l1 = 0.0f, l2 = 0.0f, l3 = 0.0f;                                                         \
            for (uint32_t k = 0; k < (inner); k++, i++) {                                                             \
                const float sum = l0 + a[a_i];                                                                        \
                l0 = l1;                                                                                              \
                l1 = l2;                                                                                              \
                l2 = l3;                                                                                              \
                l3 = sum;                                                                                             \
            }                                                                                                         \
            y[o] = edgebci_foreign_lanes(l0, l1, l2, l3, (inner) & 3u);                                               \
        }                                                                                                             \
    }

/* y[o] = extreme of `inner` elements from the first to the last; `function` takes the new element and the old value. */
#define EDGEBCI_DEFINE_FOLD_EXTREME(name, outer, inner, function, a_i)                                                \
    static EDGEBCI_KERNEL void name(const float *restrict a, float *restrict y)                                       \
    {                                                                                                                 \
        uint32_t i = 0;                                                                                               \
        for (uint32_t o = 0; o < (outer); o++) {                                                                      \
            float value = a[a_i];                                                                                     \
            i++;                                                                                                      \
            for (uint32_t k = 1; k < (inner); k++, i++) {                                                             \
                value = function(a[a_i], value);                                                                      \
            }                                                                                                         \
            y[o] = value;                                                                                             \
        }                                                                                                             \
    }

/* One row of a dense layer in float: products in the order of the sums above. */
static EDGEBCI_INLINE float edgebci_foreign_row(const float *restrict w, const float *restrict x, uint32_t columns)
{
    float l0 = 0.0f, l1 = 0.0f, l2 = 0.0f, l3 = 0.0f;
    uint32_t k = 0;
    for (; k + 4 <= columns; k += 4) {
        l0 += x[k] * w[k];
        l1 += x[k + 1] * w[k + 1];
        l2 += x[k + 2] * w[k + 2];
        l3 += x[k + 3] * w[k + 3];
    }
    if (k < columns) {
        l0 += x[k] * w[k];
    }
    if (k + 1 < columns) {
        l1 += x[k + 1] * w[k + 1];
    }
    if (k + 2 < columns) {
        l2 += x[k + 2] * w[k + 2];
    }
    return (l0 + l1) + (l2 + l3);
}

/* x [positions][groups][columns], w [groups][rows][columns], bias [groups][rows] -> y [positions][groups][rows]. */
#define EDGEBCI_DEFINE_FLOAT_DENSE(name, positions, groups, rows, columns)                                            \
    static EDGEBCI_KERNEL void name(const float *restrict x, const float *restrict w, const float *restrict bias,     \
                                    float *restrict y)                                                                \
    {                                                                                                                 \
        for (uint32_t p = 0; p < (positions); p++) {                                                                  \
            for (uint32_t r = 0; r < (groups) * (rows); r++) {                                                        \
                const float *from = x + (p * (groups) + r / (rows)) * (columns);                                      \
                *y++ = edgebci_foreign_row(w + r * (columns), from, columns) + bias[r];                               \
            }                                                                                                         \
        }                                                                                                             \
    }

/* edgebci_dense for every position and group; weight, scale and bias of the groups lie one after another. */
#define EDGEBCI_DEFINE_GROUPED_DENSE(name, positions, groups, columns)                                                \
    static EDGEBCI_KERNEL void name(const edgebci_dense_t *d, const int8_t *restrict q, float *restrict y)            \
    {                                                                                                                 \
        for (uint32_t p = 0; p < (positions); p++) {                                                                  \
            for (uint32_t g = 0; g < (groups); g++, q += (columns), y += d->rows) {                                   \
                const uint32_t row = g * d->rows;                                                                     \
                const edgebci_dense_t part = {d->rows, d->weight + row * (columns), d->scale + row, d->bias + row};   \
                edgebci_dense(&part, columns, q, y);                                                                  \
            }                                                                                                         \
        }                                                                                                             \
    }

/* A state of the last step as floats, and the other way round. */
#define EDGEBCI_DEFINE_STATE_LOAD(name, n)                                                                            \
    static EDGEBCI_KERNEL void name(const int16_t *restrict state, float scale, float *restrict y)                    \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            y[i] = (float)state[i] * scale;                                                                           \
        }                                                                                                             \
    }

#define EDGEBCI_DEFINE_STATE_STORE(name, n)                                                                           \
    static EDGEBCI_KERNEL void name(const float *restrict x, float inverse, int16_t *restrict state)                  \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            state[i] = edgebci_quantize_int16(x[i], inverse);                                                         \
        }                                                                                                             \
    }

#define EDGEBCI_DEFINE_FLOAT_STATE_STORE(name, n)                                                                     \
    static EDGEBCI_KERNEL void name(const float *restrict x, float *restrict state)                                   \
    {                                                                                                                 \
        for (uint32_t i = 0; i < (n); i++) {                                                                          \
            state[i] = edgebci_flush(x[i]);                                                                           \
        }                                                                                                             \
    }

#endif
