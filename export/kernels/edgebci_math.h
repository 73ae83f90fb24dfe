/* The arithmetic of the device: the C twin of edgebci/arithmetic.py, equal to it bit for bit.
 *
 * Rules (see that file): only + - * / and sqrt on float, each rounded once (compile with -ffp-contract=off); sums of
 * floats in the one lane order; own polynomials, no libm; every NaN that could arise counts as the lowest value.
 * Everything here is `static inline`, needs no memory and no library. C99 plus GNU attributes (gcc, clang, zig).
 */
#ifndef EDGEBCI_MATH_H
#define EDGEBCI_MATH_H

#include <stdint.h>

/* One operator is one function in the binary, so that a profile can say where the cycles go. */
#define EDGEBCI_KERNEL __attribute__((noinline))
/* The body of a kernel, inlined where its sizes are constants. */
#define EDGEBCI_INLINE inline __attribute__((always_inline))
/* Every turn of the loop below written out, so that what it counts is a constant. */
#define EDGEBCI_UNROLL _Pragma("GCC unroll 32")
/* Arrays of small integers begin on a word, so that a kernel may load four at once. */
#define EDGEBCI_ALIGNED __attribute__((aligned(4)))

#define EDGEBCI_TINY 0x1.79ca1p-67f          /* 1e-20: what is smaller becomes zero */
#define EDGEBCI_EXP_LOWEST (-46.0f)          /* exp is zero there and below */
#define EDGEBCI_EXP_HIGHEST 88.0f            /* exp(88) is the last finite power */
#define EDGEBCI_SMALLEST 0x1.0p-126f         /* smallest normal number */
#define EDGEBCI_ROUNDER 12582912.0f          /* 1.5 * 2^23: adding it leaves an integer in the low bits */
#define EDGEBCI_ROUNDED_LOWEST_INT16 0x4B3F8000u /* bits of EDGEBCI_ROUNDER - 32768 */
#define EDGEBCI_LOG2E 0x1.715476p+0f         /* 1 / ln 2 */
#define EDGEBCI_LN2_HIGH 0x1.63p-1f          /* ln 2 in two parts: k times the first is exact for |k| < 512 */
#define EDGEBCI_LN2_LOW (-0x1.bd0106p-13f)
#define EDGEBCI_SQRT_HALF 0x1.6a09e6p-1f

static inline uint32_t edgebci_bits(float value)
{
    union { float f; uint32_t u; } pun;
    pun.f = value;
    return pun.u;
}

static inline float edgebci_from_bits(uint32_t bits)
{
    union { float f; uint32_t u; } pun;
    pun.u = bits;
    return pun.f;
}

/* Limit to [lowest, highest]; NaN becomes `lowest`. */
static inline float edgebci_clamp(float v, float lowest, float highest)
{
    v = v > lowest ? v : lowest;
    return v < highest ? v : highest;
}

/* Round to nearest, ties to even, for |v| < 2^22: the sum has a unit in the last place of exactly 1. */
static inline int32_t edgebci_round(float v)
{
    return (int32_t)(edgebci_bits(v + EDGEBCI_ROUNDER) - edgebci_bits(EDGEBCI_ROUNDER));
}

/* round(v * inverse_scale), saturated. */
static inline int8_t edgebci_quantize_int8(float v, float inverse_scale)
{
    return (int8_t)edgebci_round(edgebci_clamp(v * inverse_scale, -128.0f, 127.0f));
}

static inline int16_t edgebci_quantize_int16(float v, float inverse_scale)
{
    return (int16_t)edgebci_round(edgebci_clamp(v * inverse_scale, -32768.0f, 32767.0f));
}

/* An integer sum in its row's counts, with the row's bias if there is one. */
static inline float edgebci_scaled(int32_t sum, const float *scale, const float *bias, uint32_t row)
{
    return (float)sum * scale[row] + (bias != (const float *)0 ? bias[row] : 0.0f);
}

static inline float edgebci_abs(float v)
{
    return edgebci_from_bits(edgebci_bits(v) & 0x7FFFFFFFu);
}

/* Set what is smaller than 1e-20 in magnitude to +0. */
static inline float edgebci_flush(float v)
{
    return edgebci_abs(v) < EDGEBCI_TINY ? 0.0f : v;
}

/* Sum v[0..n), n a positive multiple of 4: lane j takes elements j, j + 4, ...; then (l0 + l1) + (l2 + l3). */
static inline float edgebci_lane_sum(const float *restrict v, uint32_t n)
{
    float l0 = v[0], l1 = v[1], l2 = v[2], l3 = v[3];
    for (uint32_t i = 4; i < n; i += 4) {
        l0 += v[i];
        l1 += v[i + 1];
        l2 += v[i + 2];
        l3 += v[i + 3];
    }
    return (l0 + l1) + (l2 + l3);
}

/* Sum of a[i] * b[i], n a multiple of 4, in the same order; -0 + v is v for every v. Each lane is a variable of its own:
 * of an array of lanes that is indexed, clang 22.1.8 makes wrong vector code with AVX2. */
#define EDGEBCI_DEFINE_LANE_DOT(name, type)                                                                           \
    static inline float name(const float *a, const type *b, uint32_t n)                                               \
    {                                                                                                                 \
        float l0 = -0.0f, l1 = -0.0f, l2 = -0.0f, l3 = -0.0f;                                                         \
        for (uint32_t i = 0; i < n; i += 4) {                                                                         \
            l0 += a[i] * (float)b[i];                                                                                 \
            l1 += a[i + 1] * (float)b[i + 1];                                                                         \
            l2 += a[i + 2] * (float)b[i + 2];                                                                         \
            l3 += a[i + 3] * (float)b[i + 3];                                                                         \
        }                                                                                                             \
        return (l0 + l1) + (l2 + l3);                                                                                 \
    }

EDGEBCI_DEFINE_LANE_DOT(edgebci_lane_dot, float)
EDGEBCI_DEFINE_LANE_DOT(edgebci_lane_dot_int8, int8_t)
EDGEBCI_DEFINE_LANE_DOT(edgebci_lane_dot_int16, int16_t)

/* e^x: 2^k times a Taylor polynomial on |r| <= ln(2) / 2; 0 at and below -46, e^88 above 88. */
static inline float edgebci_exp(float x)
{
    const float bounded = edgebci_clamp(x, EDGEBCI_EXP_LOWEST, EDGEBCI_EXP_HIGHEST);
    const int32_t k = edgebci_round(bounded * EDGEBCI_LOG2E);
    const float kf = (float)k;
    const float r = (bounded - kf * EDGEBCI_LN2_HIGH) - kf * EDGEBCI_LN2_LOW;
    float p = 0x1.6c16c2p-10f;      /* 1 / 720 */
    p = p * r + 0x1.111112p-7f;     /* 1 / 120 */
    p = p * r + 0x1.555556p-5f;     /* 1 / 24 */
    p = p * r + 0x1.555556p-3f;     /* 1 / 6 */
    p = p * r + 0.5f;
    p = (p * r) * r + r + 1.0f;
    const float scaled = p * edgebci_from_bits((uint32_t)(k + 127) << 23);
    return x > EDGEBCI_EXP_LOWEST ? scaled : 0.0f;
}

/* Natural logarithm of positive normal numbers; anything else counts as the smallest normal number. */
static inline float edgebci_log(float x)
{
    const uint32_t bits = edgebci_bits(x > EDGEBCI_SMALLEST ? x : EDGEBCI_SMALLEST);
    int32_t k = (int32_t)(bits >> 23) - 127;
    float m = edgebci_from_bits((bits & 0x007FFFFFu) | 0x3F800000u);
    if (m * EDGEBCI_SQRT_HALF > 1.0f) {
        m = m * 0.5f;
        k = k + 1;
    }
    const float kf = (float)k;
    const float s = (m - 1.0f) / (m + 1.0f);
    const float s2 = s * s;
    float p = 0x1.c71c72p-4f;       /* 1 / 9 */
    p = p * s2 + 0x1.24924ap-3f;    /* 1 / 7 */
    p = p * s2 + 0x1.99999ap-3f;    /* 1 / 5 */
    p = p * s2 + 0x1.555556p-2f;    /* 1 / 3 */
    const float fraction = (p * s2) * (2.0f * s) + 2.0f * s;
    return kf * EDGEBCI_LN2_HIGH + (kf * EDGEBCI_LN2_LOW + fraction);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|). */
static inline float edgebci_softplus(float x)
{
    const float positive = x > 0.0f ? x : 0.0f;
    const float e = edgebci_exp(-edgebci_abs(x));
    const float s = e / (2.0f + e);
    const float s2 = s * s;
    float p = 0x1.111112p-4f;       /* 1 / 15 */
    p = p * s2 + 0x1.3b13b2p-4f;    /* 1 / 13 */
    p = p * s2 + 0x1.745d18p-4f;    /* 1 / 11 */
    p = p * s2 + 0x1.c71c72p-4f;    /* 1 / 9 */
    p = p * s2 + 0x1.24924ap-3f;    /* 1 / 7 */
    p = p * s2 + 0x1.99999ap-3f;    /* 1 / 5 */
    p = p * s2 + 0x1.555556p-2f;    /* 1 / 3 */
    return positive + ((p * s2) * (2.0f * s) + 2.0f * s);
}

/* x / (1 + e^-x); 0 at and below -46. */
static inline float edgebci_silu(float x)
{
    const float value = x / (1.0f + edgebci_exp(-x));
    return x > EDGEBCI_EXP_LOWEST ? value : 0.0f;
}

/* Correctly rounded square root: one instruction on every core that we build for (-fno-math-errno). */
static inline float edgebci_sqrt(float x)
{
    return __builtin_sqrtf(x);
}

/* 1 / sqrt(x): two correctly rounded operations. */
static inline float edgebci_reciprocal_sqrt(float x)
{
    return 1.0f / edgebci_sqrt(x);
}

#endif
