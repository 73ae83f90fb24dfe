/* The gate of edgebci.Mamba2StepFixed on a core with Helium, for a multiple of 8 values; a machine without Helium takes
 * the portable one. */
#ifndef EDGEBCI_MAMBA2_FIXED_GATE_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_GATE_HELIUM_H

#include "edgebci_helium.h"
#include "edgebci_mamba2_fixed_layer.h"
#if EDGEBCI_HAS_HELIUM
#include "edgebci_silu_fixed_helium.h"

/* Four y times SiLU / 2^16, rounded down; then that / 2^shift to the nearest, halves up. */
static EDGEBCI_INLINE int32x4_t edgebci_mamba2_fixed_gate_four(int32x4_t y, int32x4_t silu, int32_t shift)
{
    return vrshlq_n_s32(vmulhq_s32(y, vshlq_n_s32(vrshrq_n_s32(silu, 7), 16)), -shift);
}

/* Eight of g = y silu(z). */
static EDGEBCI_INLINE int16x8_t edgebci_mamba2_fixed_gate_eight(const int32_t *middle, int32_t shift, const int16_t *z,
                                                                const int32_t *y)
{
    const int16x8_t counts = vld1q_s16(z);
    const int32x4x2_t parts = vld2q_s32(y);
    const int32x4_t even = edgebci_silu_fixed_four(middle, edgebci_even_counts(counts));
    const int32x4_t odd = edgebci_silu_fixed_four(middle, edgebci_odd_counts(counts));
    const int32x4_t first = edgebci_mamba2_fixed_gate_four(parts.val[0], even, shift);
    return vqmovntq_s32(vqmovnbq_s32(counts, first), edgebci_mamba2_fixed_gate_four(parts.val[1], odd, shift));
}

/* g = y silu(z): sixteen at a time, so that one eight fills what the other waits for. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gate(const edgebci_mamba2_fixed_t *m, uint32_t n, const int16_t *z,
                                                     const int32_t *y, int16_t *g)
{
    const int32_t *const middle = edgebci_silu_fixed_middle(m->silu);
    const int32_t shift = (int32_t)m->gate_shift;
    for (uint32_t left = n / 16u; left != 0; left--, z += 16, y += 16, g += 16) {
        const int16x8_t first = edgebci_mamba2_fixed_gate_eight(middle, shift, z, y);
        const int16x8_t second = edgebci_mamba2_fixed_gate_eight(middle, shift, z + 8, y + 8);
        vst1q_s16(g, first);
        vst1q_s16(g + 8, second);
    }
    if (n % 16u != 0) {
        vst1q_s16(g, edgebci_mamba2_fixed_gate_eight(middle, shift, z, y));
    }
}

#else
#include "edgebci_mamba2_fixed_gate.h"
#endif

#endif
