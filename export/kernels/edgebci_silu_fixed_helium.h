/* SiLU of counts of 2^-11 on a core with Helium, from the table that edgebci_mamba2_fixed_layer.h describes. */
#ifndef EDGEBCI_SILU_FIXED_HELIUM_H
#define EDGEBCI_SILU_FIXED_HELIUM_H

#include <arm_mve.h>
#include <stdint.h>

/* The table's entries as words; 0 is in the middle. */
static inline const int32_t *edgebci_silu_fixed_middle(const int16_t *silu)
{
    return (const int32_t *)(const void *)(silu + 512);
}

/* Of four counts, which are the upper halves of words, 2^7 times what the lines of their entries say: one gather gives
 * intercept and slope. */
static EDGEBCI_INLINE int32x4_t edgebci_silu_fixed_four(const int32_t *middle, int32x4_t counts)
{
    const uint32x4_t entry = vreinterpretq_u32_s32(vshrq_n_s32(counts, 23));
    const int16x8_t line = vreinterpretq_s16_s32(vldrwq_gather_shifted_offset_s32(middle, entry));
    return vaddq_s32(vmulltq_int_s16(line, vreinterpretq_s16_s32(counts)), vshllbq_n_s16(line, 7));
}

/* Counts of even places as upper halves; those of odd places are that already. */
static EDGEBCI_INLINE int32x4_t edgebci_even_counts(int16x8_t counts)
{
    return vshlq_n_s32(vreinterpretq_s32_s16(counts), 16);
}

static EDGEBCI_INLINE int32x4_t edgebci_odd_counts(int16x8_t counts)
{
    return vreinterpretq_s32_s16(counts);
}

#endif
