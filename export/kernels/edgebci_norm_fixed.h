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
#include "edgebci_fixed_rounding.h"
#include "edgebci_helium.h"

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

#if EDGEBCI_HAS_HELIUM
/* Eight values, those of even places beside those of odd places. */
static EDGEBCI_INLINE int16x8_t edgebci_rounded_eight(float32x4x2_t x, float inverse_scale)
{
    const int32x4_t even = vcvtnq_s32_f32(vmulq_n_f32(x.val[0], inverse_scale));
    const int32x4_t odd = vcvtnq_s32_f32(vmulq_n_f32(x.val[1], inverse_scale));
    return vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(even), even), odd);
}

static EDGEBCI_INLINE int16x8_t edgebci_saturated_eight(int16x8_t v, uint32_t bits)
{
    const int16_t highest = (int16_t)((1u << (bits - 1u)) - 1u), lowest = (int16_t)(-highest - 1);
    return vmaxq_s16(vminq_s16(v, vdupq_n_s16(highest)), vdupq_n_s16(lowest));
}

/* Eight values, and on to the next. */
static EDGEBCI_INLINE void edgebci_quantize_eight(const float **x, float inverse_scale, uint32_t bits, int16_t **q)
{
    vst1q_s16(*q, edgebci_saturated_eight(edgebci_rounded_eight(vld2q_f32(*x), inverse_scale), bits));
    *x += 8;
    *q += 8;
}

/* Sixteen: what one eight waits for, the other fills. */
static EDGEBCI_INLINE void edgebci_quantize_sixteen(const float **x, float inverse_scale, uint32_t bits, int16_t **q)
{
    const int16x8_t first = edgebci_rounded_eight(vld2q_f32(*x), inverse_scale);
    const int16x8_t second = edgebci_rounded_eight(vld2q_f32(*x + 8), inverse_scale);
    vst1q_s16(*q, edgebci_saturated_eight(first, bits));
    vst1q_s16(*q + 8, edgebci_saturated_eight(second, bits));
    *x += 16;
    *q += 16;
}
#elif EDGEBCI_HAS_DSP
/* Eight values, and on to the next: one load and one move between the register files for several of them. */
#define EDGEBCI_QUANTIZE_FOUR(v0, v1, v2, v3)                                                                         \
    "vmov %[a], %[b], " v0 ", " v1 "\n\tvmov %[c], %[d], " v2 ", " v3 "\n\t"                                          \
    "ssat %[a], %[bits], %[a]\n\tssat %[b], %[bits], %[b]\n\tssat %[c], %[bits], %[c]\n\t"                          \
    "ssat %[d], %[bits], %[d]\n\tpkhbt %[a], %[a], %[b], lsl #16\n\tpkhbt %[c], %[c], %[d], lsl #16\n\t"            \
    "str %[a], [%[q]], #4\n\tstr %[c], [%[q]], #4\n\t"
#define EDGEBCI_SCALE_FLOAT(v) "vmul.f32 " v ", " v ", %[scale]\n\t"
#define EDGEBCI_CONVERT_FLOAT(v) "vcvtr.s32.f32 " v ", " v "\n\t"
#define EDGEBCI_OF_EIGHT(op) op("s0") op("s1") op("s2") op("s3") op("s4") op("s5") op("s6") op("s7")

static EDGEBCI_INLINE void edgebci_quantize_eight(const float **x, float inverse_scale, uint32_t bits, int16_t **q)
{
    int32_t a, b, c, d;
    __asm__ volatile("vldm %[x]!, {s0-s7}\n\t" EDGEBCI_OF_EIGHT(EDGEBCI_SCALE_FLOAT) EDGEBCI_OF_EIGHT(EDGEBCI_CONVERT_FLOAT)
                         EDGEBCI_QUANTIZE_FOUR("s0", "s1", "s2", "s3") EDGEBCI_QUANTIZE_FOUR("s4", "s5", "s6", "s7")
                     : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [x] "+&r"(*x), [q] "+&r"(*q)
                     : [scale] "t"(inverse_scale), [bits] "i"(bits)
                     : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "memory");
}
#endif

static EDGEBCI_INLINE void edgebci_quantize_fixed(const float *x, float inverse_scale, uint32_t bits, uint32_t n,
                                                  int16_t *q)
{
#if EDGEBCI_HAS_HELIUM
    for (const float *const end = x + n / 16u * 16u; x != end;) {
        edgebci_quantize_sixteen(&x, inverse_scale, bits, &q);
    }
    n %= 16u;
#endif
#if EDGEBCI_HAS_DSP || EDGEBCI_HAS_HELIUM
    for (const float *const end = x + n / 8u * 8u; x != end;) {
        edgebci_quantize_eight(&x, inverse_scale, bits, &q);
    }
    n %= 8u;
#endif
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

/* Both halves times `twice` / 2^17, to the nearest integer, halves up: a bit more than is wanted, one added, is halved
 * with the saturation, so that no half has to be brought to the top. */
static EDGEBCI_INLINE uint32_t edgebci_norm_fixed_pair(uint32_t pair, int32_t twice)
{
#if EDGEBCI_HAS_DSP
    uint32_t low;
    __asm__("smlawb %[low], %[m], %[pair], %[one]\n\tsmlawt %[pair], %[m], %[pair], %[one]\n\t"
            "ssat %[low], #16, %[low], asr #1\n\tssat %[pair], #16, %[pair], asr #1\n\t"
            "pkhbt %[pair], %[low], %[pair], lsl #16"
            : [low] "=&r"(low), [pair] "+&r"(pair)
            : [m] "r"(twice), [one] "r"(1));
    return pair;
#else
    const int32_t low = edgebci_smlawb(twice, pair, 1) >> 1, high = edgebci_smlawt(twice, pair, 1) >> 1;
    return edgebci_pair(edgebci_ssat16(low), edgebci_ssat16(high));
#endif
}

#if EDGEBCI_HAS_HELIUM
/* Eight counts times `twice` / 2^17, as edgebci_norm_fixed_pair has them. */
static EDGEBCI_INLINE int16x8_t edgebci_norm_fixed_eight(int16x8_t v, int32x4_t twice)
{
    const int32x4_t upper = vandq_s32(vreinterpretq_s32_s16(v), vdupq_n_s32(-65536));
    const int32x4_t even = vmulhq_s32(vshlq_n_s32(vreinterpretq_s32_s16(v), 16), twice), odd = vmulhq_s32(upper, twice);
    return vqrshrntq_n_s32(vqrshrnbq_n_s32(v, even, 1), odd, 1);
}

static EDGEBCI_INLINE void edgebci_norm_fixed(const edgebci_norm_fixed_t *norm, uint32_t n, const int16_t *restrict x,
                                              int16_t *restrict q)
{
    const uint32_t whole = n / 8u * 8u;
    const mve_pred16_t rest = vctp16q(n - whole);
    int64_t squares = 0;
    for (uint32_t i = 0; i < whole; i += 8) {
        const int16x8_t v = vld1q_s16(x + i);
        squares = vmlaldavaq_s16(squares, v, v);
    }
    if (n != whole) {
        const int16x8_t v = vld1q_z_s16(x + whole, rest);
        squares = vmlaldavaq_s16(squares, v, v);
    }
    const int32x4_t twice = vdupq_n_s32(edgebci_norm_fixed_twice(norm, squares));
    for (uint32_t i = 0; i < whole; i += 8) {
        vst1q_s16(q + i, edgebci_norm_fixed_eight(vld1q_s16(x + i), twice));
    }
    if (n != whole) {
        vst1q_p_s16(q + whole, edgebci_norm_fixed_eight(vld1q_z_s16(x + whole, rest), twice), rest);
    }
}
#else
static EDGEBCI_INLINE void edgebci_norm_fixed(const edgebci_norm_fixed_t *norm, uint32_t n, const int16_t *restrict x,
                                              int16_t *restrict q)
{
    int64_t squares = 0;
    for (uint32_t i = 0; i < n; i += 4) {
        const uint32_t a = edgebci_load_pair(x + i), b = edgebci_load_pair(x + i + 2);
        squares = edgebci_smlald(a, a, squares);
        squares = edgebci_smlald(b, b, squares);
    }
    const int32_t twice = edgebci_norm_fixed_twice(norm, squares);
    const uint32_t together = n % 16u == 0 ? 4 : 1;
    for (const int16_t *const end = x + n; x != end;) {
        for (uint32_t i = 0; i < together; i++, x += 4, q += 4) {
            uint32_t a = edgebci_load_pair(x), b = edgebci_load_pair(x + 2);
            EDGEBCI_LOADED_2(a, b);
            edgebci_store_pair(q, edgebci_norm_fixed_pair(a, twice));
            edgebci_store_pair(q + 2, edgebci_norm_fixed_pair(b, twice));
        }
    }
}
#endif

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
