/* The state of edgebci.Mamba2StepFixed on a core with Helium: the portable edgebci_mamba2_fixed_state.h says what is
 * computed, and it is what a machine without Helium takes. */
#ifndef EDGEBCI_MAMBA2_FIXED_STATE_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_STATE_HELIUM_H

#include "edgebci_helium.h"
#include "edgebci_mamba2_fixed_layer.h"
#if EDGEBCI_HAS_HELIUM

typedef int16_t edgebci_folded_t; /* [4][n] */

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

/* y of two rows of 16: gain times C h, and W times the x of the slots. Six multiplications of two beats, loads between
 * them; `last` stands where a result is waited for. */
#define EDGEBCI_READ_TWO(last)                                                                                        \
    "vmladav.s16 %[s0], q4, q0\n\tvldrh.u16 q5, [%[h]], #16\n\t"                                                     \
    "vmladava.s16 %[s0], q5, q1\n\tvldrh.u16 q6, [%[x]], #16\n\t"                                                    \
    "vmladav.s16 %[r0], q6, %q[first]\n\tvldrh.u16 q4, [%[h]], #16\n\t"                                              \
    "vmladav.s16 %[s1], q4, q0\n\tvldrh.u16 q5, [%[h]], #16\n\t"                                                     \
    "vmladava.s16 %[s1], q5, q1\n\tsmmlar %[s0], %[s0], %[gain], %[r0]\n\t"                                          \
    "vmladav.s16 %[r1], q6, %q[second]\n\tstr %[s0], [%[y]], #4\n\t"                                                 \
    "smmlar %[s1], %[s1], %[gain], %[r1]\n\t" last "str %[s1], [%[y]], #4\n\t"

static EDGEBCI_INLINE void edgebci_mamba2_fixed_short_rows(uint32_t headdim, const int16_t *h, const int16_t *C,
                                                           const int16_t *x, int16x8_t first, int16x8_t second,
                                                           int32_t gain, int32_t *y)
{
    int32_t s0, s1, r0, r1;
    __asm__ volatile("vldrh.u16 q0, [%[c]]\n\tdls lr, %[n]\n\tvldrh.u16 q1, [%[c], #16]\n"
                     "1:\n\tvldrh.u16 q4, [%[h]], #16\n\t" EDGEBCI_READ_TWO("vldrh.u16 q4, [%[h]], #16\n\t")
                         EDGEBCI_READ_TWO("") "le lr, 1b"
                     : [s0] "=&Te"(s0), [s1] "=&Te"(s1), [r0] "=&Te"(r0), [r1] "=&Te"(r1), [h] "+&r"(h), [x] "+&r"(x),
                       [y] "+&r"(y)
                     : [c] "r"(C), [first] "w"(first), [second] "w"(second), [gain] "r"(gain), [n] "r"(headdim / 4u)
                     : "lr", "q0", "q1", "q4", "q5", "q6", "memory");
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
    if (n == 16) {
        edgebci_mamba2_fixed_short_rows(headdim, ssm, C, x, first, second, gain, y);
        return;
    }
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
    const int16x8_t lowest = vdupq_n_s16(-8192), highest = vdupq_n_s16(8191);
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        const int32x4_t factor = vdupq_n_s32(gain[j]);
        for (uint32_t i = 0; i < n; i += 8, B += 8, folded += 8) {
            const int32x4_t b = vreinterpretq_s32_s16(vld1q_s16(B)), upper = vandq_s32(b, vdupq_n_s32(-65536));
            const int32x4_t even = vrmulhq_s32(vshlq_n_s32(b, 16), factor), odd = vrmulhq_s32(upper, factor);
            const int16x8_t scaled = vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(b), even), odd);
            vst1q_s16(folded, vmaxq_s16(vminq_s16(scaled, highest), lowest));
        }
        __asm__ volatile("" ::: "memory"); /* one slot after the other: of all at once, some would leave their registers */
    }
}

/* One head, eight elements of a row at a time, which share the loads of x: h := s h + sum of w_j x_j B_j, rounded. Ten
 * multiplications of two beats, in 24 instructions; six of eight vectors of w_j B_j stay in registers. s h / 2^16 is
 * twice the product of s and 2^15 h, divided by 2^32. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const edgebci_folded_t *folded, int16_t *h)
{
    for (uint32_t j = 0; j < n; j += 8, h += 8, folded += 8) {
        const edgebci_folded_t *f = folded, *f1 = folded + n, *f2 = folded + 2u * n, *f3 = folded + 3u * n;
        const int16_t *recent = x;
        int16_t *own = h;
        int32_t x0, x1, x2, x3;
        __asm__ volatile(
            "vldrh.s32 q0, [%[f]]\n\tdls lr, %[rows]\n\tvldrh.s32 q1, [%[f1]]\n\tvldrh.s32 q2, [%[f2]]\n\tvldrh.s32 q3, [%[f3]]\n\t"
            "vldrh.s32 q6, [%[f], #8]\n\tvldrh.s32 q7, [%[f1], #8]\n"
            "1:\n\tldrsh %[x0], [%[x]], #2\n\tvldrh.s32 q4, [%[h]]\n\tldrsh %[x1], [%[x]], #2\n\t"
            "vshl.i32 q4, q4, #15\n\tvqdmulh.s32 q4, q4, %[s]\n\tvldrh.s32 q5, [%[h], #8]\n\t"
            "vmla.s32 q4, q0, %[x0]\n\tldrsh %[x2], [%[x]], #2\n\tvmla.s32 q4, q1, %[x1]\n\tldrsh %[x3], [%[x]], #2\n\t"
            "vmla.s32 q4, q2, %[x2]\n\tvshl.i32 q5, q5, #15\n\tvmla.s32 q4, q3, %[x3]\n\tvqdmulh.s32 q5, q5, %[s]\n\t"
            "vqrshrnb.s32 q4, q4, #12\n\tvmla.s32 q5, q6, %[x0]\n\tvstrh.32 q4, [%[h]], #8\n\tvmla.s32 q5, q7, %[x1]\n\t"
            "vldrh.s32 q4, [%[f2], #8]\n\tvmla.s32 q5, q4, %[x2]\n\tvldrh.s32 q4, [%[f3], #8]\n\t"
            "vmla.s32 q5, q4, %[x3]\n\tvqrshrnb.s32 q5, q5, #12\n\tvstrh.32 q5, [%[h]], %[next]\n\tle lr, 1b"
            : [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3), [x] "+&r"(recent), [h] "+&l"(own)
            : [f] "l"(f), [f1] "l"(f1), [f2] "l"(f2), [f3] "l"(f3), [s] "r"(scale), [rows] "r"(headdim),
              [next] "i"(2u * n - 8u)
            : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory");
    }
}

#else
#include "edgebci_mamba2_fixed_state.h"
#endif

#endif
