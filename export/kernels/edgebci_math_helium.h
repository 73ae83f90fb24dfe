/* Functions of edgebci_math.h and edgebci_fixed_rounding.h for four numbers at a time, with the same bits: the same
 * operations in the same order, none of them fused. Vectors take a subnormal number for 0; here that changes no result.
 */
#ifndef EDGEBCI_MATH_HELIUM_H
#define EDGEBCI_MATH_HELIUM_H

#include <arm_mve.h>
#include <stdint.h>

#include "edgebci_math.h"

/* p x + c, rounded twice. */
static EDGEBCI_INLINE float32x4_t edgebci_horner_four(float32x4_t p, float32x4_t x, float c)
{
    return vaddq_n_f32(vmulq_f32(p, x), c);
}

/* Set what is smaller than 1e-20 in magnitude to +0. */
static EDGEBCI_INLINE float32x4_t edgebci_flush_four(float32x4_t v)
{
    return vpselq_f32(vdupq_n_f32(0.0f), v, vcmpltq_n_f32(vabsq_f32(v), EDGEBCI_TINY));
}

/* v + EDGEBCI_ROUNDER as an integer, less that of 0: v to the nearest integer, ties to even. */
static EDGEBCI_INLINE int32x4_t edgebci_rounded_four(float32x4_t v)
{
    const int32x4_t bits = vreinterpretq_s32_f32(vaddq_n_f32(v, EDGEBCI_ROUNDER));
    return vsubq_n_s32(bits, (int32_t)edgebci_bits(EDGEBCI_ROUNDER));
}

/* Round to nearest, ties to even, within +-limit. */
static EDGEBCI_INLINE int32x4_t edgebci_round_within_four(float32x4_t v, int32_t limit)
{
    const int32_t zero = (int32_t)edgebci_bits(EDGEBCI_ROUNDER);
    const int32x4_t bits = vreinterpretq_s32_f32(vaddq_n_f32(v, EDGEBCI_ROUNDER));
    return vsubq_n_s32(vminq_s32(vmaxq_s32(bits, vdupq_n_s32(zero - limit)), vdupq_n_s32(zero + limit)), zero);
}

/* e^x, as edgebci_exp. */
static EDGEBCI_INLINE float32x4_t edgebci_exp_four(float32x4_t x)
{
    const float32x4_t lowest = vdupq_n_f32(EDGEBCI_EXP_LOWEST), highest = vdupq_n_f32(EDGEBCI_EXP_HIGHEST);
    const float32x4_t bounded = vminnmq_f32(vmaxnmq_f32(x, lowest), highest);
    const int32x4_t k = edgebci_rounded_four(vmulq_n_f32(bounded, EDGEBCI_LOG2E));
    const float32x4_t kf = vcvtq_f32_s32(k);
    const float32x4_t high = vsubq_f32(bounded, vmulq_n_f32(kf, EDGEBCI_LN2_HIGH));
    const float32x4_t r = vsubq_f32(high, vmulq_n_f32(kf, EDGEBCI_LN2_LOW));
    float32x4_t p = edgebci_horner_four(vdupq_n_f32(0x1.6c16c2p-10f), r, 0x1.111112p-7f); /* 1 / 720, 1 / 120 */
    p = edgebci_horner_four(p, r, 0x1.555556p-5f);                                        /* 1 / 24 */
    p = edgebci_horner_four(p, r, 0x1.555556p-3f);                                        /* 1 / 6 */
    p = edgebci_horner_four(p, r, 0.5f);
    p = vaddq_n_f32(vaddq_f32(vmulq_f32(vmulq_f32(p, r), r), r), 1.0f);
    const float32x4_t power = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_n_s32(k, 127), 23));
    return vpselq_f32(vmulq_f32(p, power), vdupq_n_f32(0.0f), vcmpgtq_f32(x, lowest));
}

/* log(1 + e^x), as edgebci_softplus. */
static EDGEBCI_INLINE float32x4_t edgebci_softplus_four(float32x4_t x)
{
    const float32x4_t e = edgebci_exp_four(vnegq_f32(vabsq_f32(x)));
    const float32x4_t s = e / vaddq_n_f32(e, 2.0f); /* no vector divides: one after the other */
    const float32x4_t s2 = vmulq_f32(s, s), twice = vaddq_f32(s, s);
    float32x4_t p = edgebci_horner_four(vdupq_n_f32(0x1.111112p-4f), s2, 0x1.3b13b2p-4f); /* 1 / 15, 1 / 13 */
    p = edgebci_horner_four(p, s2, 0x1.745d18p-4f);                                       /* 1 / 11 */
    p = edgebci_horner_four(p, s2, 0x1.c71c72p-4f);                                       /* 1 / 9 */
    p = edgebci_horner_four(p, s2, 0x1.24924ap-3f);                                       /* 1 / 7 */
    p = edgebci_horner_four(p, s2, 0x1.99999ap-3f);                                       /* 1 / 5 */
    p = edgebci_horner_four(p, s2, 0x1.555556p-2f);                                       /* 1 / 3 */
    const float32x4_t fraction = vaddq_f32(vmulq_f32(vmulq_f32(p, s2), twice), twice);
    return vaddq_f32(vmaxnmq_f32(x, vdupq_n_f32(0.0f)), fraction);
}

#endif
