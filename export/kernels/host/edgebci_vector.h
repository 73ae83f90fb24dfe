/* Eight floats at a time: the functions of edgebci_math.h on vectors, equal to them bit for bit.
 *
 * Written in the vector extension that gcc and clang share, so one text becomes AVX2 or AVX-512 code, pairs of NEON
 * registers, or SSE2: each element sees the same operations in the same order, each rounded once. What a machine has
 * is known when the sources are compiled (-march=native, or zig, which takes the machine that it runs on).
 */
#ifndef EDGEBCI_VECTOR_H
#define EDGEBCI_VECTOR_H

#include <stdint.h>

#include "edgebci_math.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* What the kernels use here, for reports. */
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define EDGEBCI_INSTRUCTIONS "AVX-512 VNNI"
#elif defined(__AVXVNNI__)
#define EDGEBCI_INSTRUCTIONS "AVX-VNNI"
#elif defined(__AVX2__)
#define EDGEBCI_INSTRUCTIONS "AVX2"
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
#define EDGEBCI_INSTRUCTIONS "NEON with dot products"
#elif defined(__ARM_NEON)
#define EDGEBCI_INSTRUCTIONS "NEON"
#else
#define EDGEBCI_INSTRUCTIONS "none, portable C"
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector crosses a function that is not inlined */
#endif

#define EDGEBCI_WIDTH 8u

typedef float edgebci_f8 __attribute__((vector_size(32)));
typedef int32_t edgebci_i8 __attribute__((vector_size(32)));
typedef int16_t edgebci_h8 __attribute__((vector_size(16)));
typedef float edgebci_f4 __attribute__((vector_size(16)));
/* The same where they lie in arrays, which begin on a word at best. */
typedef float edgebci_f8_in_memory __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t edgebci_i8_in_memory __attribute__((vector_size(32), aligned(4), may_alias));
typedef float edgebci_f4_in_memory __attribute__((vector_size(16), aligned(4), may_alias));
typedef int16_t edgebci_h8_in_memory __attribute__((vector_size(16), aligned(2), may_alias));
typedef int8_t edgebci_b8_in_memory __attribute__((vector_size(8), aligned(1), may_alias));

static EDGEBCI_INLINE edgebci_f8 edgebci_all8(float v)
{
    return (edgebci_f8){v, v, v, v, v, v, v, v};
}

static EDGEBCI_INLINE edgebci_f8 edgebci_load8(const float *from)
{
    return *(const edgebci_f8_in_memory *)from;
}

static EDGEBCI_INLINE void edgebci_store8(float *to, edgebci_f8 v)
{
    *(edgebci_f8_in_memory *)to = v;
}

static EDGEBCI_INLINE edgebci_f4 edgebci_load4(const float *from)
{
    return *(const edgebci_f4_in_memory *)from;
}

/* yes where the mask is all ones, no where it is zero. */
static EDGEBCI_INLINE edgebci_f8 edgebci_select8(edgebci_i8 mask, edgebci_f8 yes, edgebci_f8 no)
{
    return (edgebci_f8)((mask & (edgebci_i8)yes) | (~mask & (edgebci_i8)no));
}

/* See edgebci_clamp. x86 returns the second operand where one is NaN, as the comparisons do. */
static EDGEBCI_INLINE edgebci_f8 edgebci_clamp8(edgebci_f8 v, float lowest, float highest)
{
    const edgebci_f8 low = edgebci_all8(lowest), high = edgebci_all8(highest);
#if defined(__AVX2__)
    return (edgebci_f8)_mm256_min_ps(_mm256_max_ps((__m256)v, (__m256)low), (__m256)high);
#else
    v = edgebci_select8(v > low, v, low);
    return edgebci_select8(v < high, v, high);
#endif
}

/* See edgebci_round: to nearest, ties to even, for |v| < 2^22. */
static EDGEBCI_INLINE edgebci_i8 edgebci_round8(edgebci_f8 v)
{
#if defined(__AVX2__)
    return (edgebci_i8)_mm256_cvtps_epi32((__m256)v);
#else
    const edgebci_f8 rounder = edgebci_all8(EDGEBCI_ROUNDER);
    return (edgebci_i8)(v + rounder) - (edgebci_i8)rounder;
#endif
}

static EDGEBCI_INLINE edgebci_i8 edgebci_quantize_int8_8(edgebci_f8 v, edgebci_f8 inverse_scale)
{
    return edgebci_round8(edgebci_clamp8(v * inverse_scale, -128.0f, 127.0f));
}

static EDGEBCI_INLINE edgebci_i8 edgebci_quantize_int16_8(edgebci_f8 v, edgebci_f8 inverse_scale)
{
    return edgebci_round8(edgebci_clamp8(v * inverse_scale, -32768.0f, 32767.0f));
}

static EDGEBCI_INLINE void edgebci_store_int8_8(int8_t *to, edgebci_i8 v)
{
    *(edgebci_b8_in_memory *)to = __builtin_convertvector(v, edgebci_b8_in_memory);
}

static EDGEBCI_INLINE void edgebci_store_int16_8(int16_t *to, edgebci_i8 v)
{
    *(edgebci_h8_in_memory *)to = __builtin_convertvector(v, edgebci_h8);
}

static EDGEBCI_INLINE edgebci_f8 edgebci_load_int16_8(const int16_t *from)
{
    const edgebci_h8 counts = *(const edgebci_h8_in_memory *)from;
    return __builtin_convertvector(counts, edgebci_f8);
}

/* See edgebci_exp. */
static EDGEBCI_INLINE edgebci_f8 edgebci_exp8(edgebci_f8 x)
{
    const edgebci_f8 bounded = edgebci_clamp8(x, EDGEBCI_EXP_LOWEST, EDGEBCI_EXP_HIGHEST);
    const edgebci_i8 k = edgebci_round8(bounded * EDGEBCI_LOG2E);
    const edgebci_f8 kf = __builtin_convertvector(k, edgebci_f8);
    const edgebci_f8 r = (bounded - kf * EDGEBCI_LN2_HIGH) - kf * EDGEBCI_LN2_LOW;
    edgebci_f8 p = edgebci_all8(0x1.6c16c2p-10f);
    p = p * r + 0x1.111112p-7f;
    p = p * r + 0x1.555556p-5f;
    p = p * r + 0x1.555556p-3f;
    p = p * r + 0.5f;
    p = (p * r) * r + r + 1.0f;
    const edgebci_f8 scaled = p * (edgebci_f8)((k + 127) << 23);
    return (edgebci_f8)((edgebci_i8)scaled & (x > edgebci_all8(EDGEBCI_EXP_LOWEST)));
}

/* See edgebci_silu. */
static EDGEBCI_INLINE edgebci_f8 edgebci_silu8(edgebci_f8 x)
{
    const edgebci_f8 value = x / (1.0f + edgebci_exp8(-x));
    return (edgebci_f8)((edgebci_i8)value & (x > edgebci_all8(EDGEBCI_EXP_LOWEST)));
}

/* The lanes of the defined order take the first four elements of v, then the others. */
static EDGEBCI_INLINE edgebci_f4 edgebci_into_lanes(edgebci_f4 lanes, edgebci_f8 v)
{
    lanes = lanes + __builtin_shufflevector(v, v, 0, 1, 2, 3);
    return lanes + __builtin_shufflevector(v, v, 4, 5, 6, 7);
}

static EDGEBCI_INLINE edgebci_f4 edgebci_no_lanes(void)
{
    return (edgebci_f4){-0.0f, -0.0f, -0.0f, -0.0f}; /* -0 + v is v for every v */
}

static EDGEBCI_INLINE float edgebci_of_lanes(edgebci_f4 lanes)
{
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/* Sums of neighbours: of a, then of b. */
static EDGEBCI_INLINE edgebci_f4 edgebci_neighbours(edgebci_f4 a, edgebci_f4 b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
}

/* edgebci_of_lanes of four sums. */
static EDGEBCI_INLINE edgebci_f4 edgebci_of_four_lanes(edgebci_f4 a, edgebci_f4 b, edgebci_f4 c, edgebci_f4 d)
{
    return edgebci_neighbours(edgebci_neighbours(a, b), edgebci_neighbours(c, d));
}

#endif
