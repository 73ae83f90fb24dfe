/* edgebci.QuantizeFixed and edgebci.RmsNormFixed: from float32 to int16, and int16 normalised.
 *
 * EDGEBCI_DEFINE_QUANTIZE_FIXED(name, n, bits) defines `void name(x, inverse_scale, q)`: q = round(x inverse_scale),
 * ties to even, saturated to `bits`; q is filled up with zeros to a multiple of 4.
 * EDGEBCI_DEFINE_NORM_FIXED(name, n) defines `void name(norm, x, q)`: q = x / rms(x) in counts of its own. n is a
 * multiple of 4, at most 512, so that the squares fit; x, q [n] int16 on a word.
 */
#ifndef EDGEBCI_NORM_FIXED_H
#define EDGEBCI_NORM_FIXED_H

#include <stdint.h>

#include "edgebci_dsp.h"

typedef struct {
    float mean; /* what one count of sum(x^2) / 256 adds to the mean square */
    float unit; /* 2^16 counts of q per count of x at an rms of 1 */
    float epsilon;
} edgebci_norm_fixed_t;

/* Round to nearest, ties to even, within +-limit, at most 2^21. The bits of sums with EDGEBCI_ROUNDER are integers in the
 * order of the sums; those in range hold the rounded value. */
static inline int32_t edgebci_round_within(float v, int32_t limit)
{
    const int32_t zero = (int32_t)edgebci_bits(EDGEBCI_ROUNDER), lowest = zero - limit, highest = zero + limit;
    const int32_t bits = (int32_t)edgebci_bits(v + EDGEBCI_ROUNDER);
    const int32_t raised = bits > lowest ? bits : lowest;
    return (raised < highest ? raised : highest) - zero;
}

/* Rounded to nearest, ties to even, and saturated to `bits`: a pair. The four conversions of two pairs stand together,
 * since the result of one can be used an instruction later only. */
#if EDGEBCI_HAS_DSP
static EDGEBCI_INLINE int32_t edgebci_saturated(float converted, uint32_t bits)
{
    int32_t result;
    __asm__("ssat %0, %1, %2" : "=r"(result) : "i"(bits), "r"(edgebci_bits(converted)));
    return result;
}

#define EDGEBCI_CONVERTED(a, b, c, d)                                                                                 \
    __asm__("vcvtr.s32.f32 %0, %0\n\tvcvtr.s32.f32 %1, %1\n\tvcvtr.s32.f32 %2, %2\n\tvcvtr.s32.f32 %3, %3"             \
            : "+t"(a), "+t"(b), "+t"(c), "+t"(d))
#else
static EDGEBCI_INLINE int32_t edgebci_saturated(float v, uint32_t bits)
{
    const int32_t highest = (int32_t)(1u << (bits - 1u)) - 1, rounded = edgebci_round_within(v, highest + 1);
    return rounded < highest ? rounded : highest;
}

#define EDGEBCI_CONVERTED(a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

static EDGEBCI_INLINE void edgebci_quantize_fixed(const float *restrict x, float inverse_scale, uint32_t bits, uint32_t n,
                                                  int16_t *restrict q)
{
    const uint32_t whole = n / 4u * 4u;
    for (uint32_t i = 0; i < whole; i += 4) {
        float a = x[i] * inverse_scale, b = x[i + 1] * inverse_scale;
        float c = x[i + 2] * inverse_scale, d = x[i + 3] * inverse_scale;
        EDGEBCI_CONVERTED(a, b, c, d);
        edgebci_store_pair(q + i, edgebci_pair(edgebci_saturated(a, bits), edgebci_saturated(b, bits)));
        edgebci_store_pair(q + i + 2, edgebci_pair(edgebci_saturated(c, bits), edgebci_saturated(d, bits)));
    }
    for (uint32_t i = whole; i < n; i++) {
        float a = x[i] * inverse_scale, b = a, c = a, d = a;
        EDGEBCI_CONVERTED(a, b, c, d);
        q[i] = (int16_t)edgebci_saturated(a, bits);
    }
    for (uint32_t i = n; i % 4u != 0; i++) {
        q[i] = 0;
    }
}

/* A positive float as an integer, rounded down, at most `highest`; NaN is 0. */
static inline int32_t edgebci_truncate(float v, float highest)
{
    return (int32_t)edgebci_clamp(v, 0.0f, highest);
}

/* Both halves times multiplier / 2^16. */
static inline uint32_t edgebci_norm_fixed_pair(uint32_t pair, int32_t multiplier)
{
    const int32_t low = edgebci_smmlar((int32_t)(pair << 16), multiplier, 0);
    const int32_t high = edgebci_smmlar((int32_t)(pair & 0xFFFF0000u), multiplier, 0);
    return edgebci_pair(edgebci_ssat16(low), edgebci_ssat16(high));
}

static EDGEBCI_INLINE void edgebci_norm_fixed(const edgebci_norm_fixed_t *norm, uint32_t n, const int16_t *restrict x,
                                              int16_t *restrict q)
{
    int64_t squares = 0;
    for (uint32_t i = 0; i < n; i += 4) {
        const uint32_t a = edgebci_load_pair(x + i), b = edgebci_load_pair(x + i + 2);
        squares = edgebci_smlald(a, a, squares);
        squares = edgebci_smlald(b, b, squares);
    }
    const float mean_square = (float)(uint32_t)(squares >> 8) * norm->mean;
    const float r = edgebci_reciprocal_sqrt(mean_square + norm->epsilon);
    const int32_t multiplier = edgebci_truncate(r * norm->unit, 0x1.0p30f);
    for (uint32_t i = 0; i < n; i += 4) {
        uint32_t a = edgebci_load_pair(x + i), b = edgebci_load_pair(x + i + 2);
        EDGEBCI_LOADED_2(a, b);
        edgebci_store_pair(q + i, edgebci_norm_fixed_pair(a, multiplier));
        edgebci_store_pair(q + i + 2, edgebci_norm_fixed_pair(b, multiplier));
    }
}

#define EDGEBCI_DEFINE_QUANTIZE_FIXED(name, n, bits)                                                                  \
    static EDGEBCI_KERNEL void name(const float *restrict x, float inverse_scale, int16_t *restrict q)                \
    {                                                                                                                 \
        edgebci_quantize_fixed(x, inverse_scale, bits, n, q);                                                         \
    }

#define EDGEBCI_DEFINE_NORM_FIXED(name, n)                                                                            \
    static EDGEBCI_KERNEL void name(const edgebci_norm_fixed_t *norm, const int16_t *restrict x, int16_t *restrict q) \
    {                                                                                                                 \
        edgebci_norm_fixed(norm, n, x, q);                                                                            \
    }

#endif
