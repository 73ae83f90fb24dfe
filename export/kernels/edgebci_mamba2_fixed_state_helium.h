/* The state of edgebci.Mamba2StepFixed on a core with Helium: the portable edgebci_mamba2_fixed_state.h says what is
 * computed, and it is what a machine without Helium takes. */
#ifndef EDGEBCI_MAMBA2_FIXED_STATE_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_STATE_HELIUM_H

#include "edgebci_helium.h"
#include "edgebci_mamba2_fixed_layer.h"
#if EDGEBCI_HAS_HELIUM

typedef int32_t edgebci_folded_t; /* [4][n] */

/* C times four rows of n elements. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < n; j += 8) {
        const int16x8_t c = vld1q_s16(C + j);
        s0 = vmladavaq_s16(s0, vld1q_s16(h + j), c);
        s1 = vmladavaq_s16(s1, vld1q_s16(h + n + j), c);
        s2 = vmladavaq_s16(s2, vld1q_s16(h + 2u * n + j), c);
        s3 = vmladavaq_s16(s3, vld1q_s16(h + 3u * n + j), c);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* y of one head; w holds W in two pairs, and the gain. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_read_head(uint32_t headdim, uint32_t n, const uint32_t *w,
                                                          const int16_t *ssm, const int16_t *C, const int16_t *x,
                                                          int32_t *restrict y)
{
    uint32_t carry = 0;
    const uint32x4_t lower = vld1q_z_u32(w, 0x00FF), higher = vshlcq_u32(lower, &carry, 32);
    const int16x8_t first = vreinterpretq_s16_u32(lower);                           /* W and zeros */
    const int16x8_t second = vreinterpretq_s16_u32(vshlcq_u32(higher, &carry, 32)); /* zeros and W */
    const int32_t gain = (int32_t)w[2];
    for (uint32_t i = 0; i < headdim; i += 4, ssm += 4u * n, x += 4u * EDGEBCI_SLOTS, y += 4) {
        int32_t sums[4];
        edgebci_mamba2_fixed_rows(ssm, C, n, sums);
        const int16x8_t a = vld1q_s16(x), b = vld1q_s16(x + 2u * EDGEBCI_SLOTS);
        y[0] = edgebci_smmlar(sums[0], gain, vmladavq_s16(a, first));
        y[1] = edgebci_smmlar(sums[1], gain, vmladavq_s16(a, second));
        y[2] = edgebci_smmlar(sums[2], gain, vmladavq_s16(b, first));
        y[3] = edgebci_smmlar(sums[3], gain, vmladavq_s16(b, second));
    }
}

/* w_j B_j. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_fold(uint32_t n, const int32_t *gain, const int16_t *B,
                                                     edgebci_folded_t *restrict folded)
{
    const int32x4_t lowest = vdupq_n_s32(-8192), highest = vdupq_n_s32(8191);
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        const int32x4_t factor = vdupq_n_s32(gain[j]);
        for (uint32_t i = 0; i < n; i += 4, B += 4, folded += 4) {
            const int32x4_t scaled = vrmulhq_s32(vshlq_n_s32(vldrhq_s32(B), 16), factor);
            vst1q_s32(folded, vmaxq_s32(vminq_s32(scaled, highest), lowest));
        }
    }
}

/* One head, four elements of all rows at a time, whose w_j B_j stay in registers: h := s h + sum of w_j x_j B_j. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const edgebci_folded_t *folded, int16_t *h)
{
    const int32x4_t s = vdupq_n_s32(scale);
    for (uint32_t j = 0; j < n; j += 4) {
        const int32x4_t f0 = vld1q_s32(folded + j), f1 = vld1q_s32(folded + n + j);
        const int32x4_t f2 = vld1q_s32(folded + 2u * n + j), f3 = vld1q_s32(folded + 3u * n + j);
        const int16_t *recent = x;
        int16_t *own = h + j;
        for (uint32_t i = 0; i < headdim; i++, own += n, recent += EDGEBCI_SLOTS) {
            int32x4_t sum = vmulhq_s32(vshlq_n_s32(vldrhq_s32(own), 16), s);
            sum = vmlaq_n_s32(sum, f0, recent[0]);
            sum = vmlaq_n_s32(sum, f1, recent[1]);
            sum = vmlaq_n_s32(sum, f2, recent[2]);
            sum = vmlaq_n_s32(sum, f3, recent[3]);
            const int16x8_t rounded = vqrshrnbq_n_s32(vreinterpretq_s16_s32(sum), sum, 12);
            vstrhq_s32(own, vreinterpretq_s32_s16(rounded));
        }
    }
}

#else
#include "edgebci_mamba2_fixed_state.h"
#endif

#endif
