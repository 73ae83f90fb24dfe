/* The gate of edgebci.Mamba2StepFixed. */
#ifndef EDGEBCI_MAMBA2_FIXED_GATE_H
#define EDGEBCI_MAMBA2_FIXED_GATE_H

#include "edgebci_mamba2_fixed_layer.h"

/* Two elements of g = y silu(z), and on to the next. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gate_two(const int16_t *middle, uint32_t shift, int32_t rounding,
                                                         const int16_t **z, const int32_t **y, int16_t **g)
{
#if EDGEBCI_HAS_DSP
    uint32_t pair, a, b, c, d;
    __asm__ volatile(
        "ldr %[pair], [%[z]], #4\n\tsbfx %[c], %[pair], #7, #9\n\tasr %[d], %[pair], #23\n\t"
        "pkhbt %[a], %[unit], %[pair], lsl #16\n\tpkhbt %[b], %[unit], %[pair]\n\t"
        "ldr %[c], [%[middle], %[c], lsl #2]\n\tldr %[d], [%[middle], %[d], lsl #2]\n\t"
        "smlad %[a], %[c], %[a], %[half]\n\tsmlad %[b], %[d], %[b], %[half]\n\t"
        "ldr %[d], [%[y], #4]\n\tldr %[c], [%[y]], #8\n\tasr %[a], %[a], #7\n\tasr %[b], %[b], #7\n\t"
        "smlawb %[a], %[c], %[a], %[add]\n\tsmlawb %[b], %[d], %[b], %[add]\n\t"
        "asr %[a], %[a], %[shift]\n\tasr %[b], %[b], %[shift]\n\tssat %[a], #16, %[a]\n\tssat %[b], #16, %[b]\n\t"
        "pkhbt %[a], %[a], %[b], lsl #16\n\tstr %[a], [%[g]], #4"
        : [pair] "=&r"(pair), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [z] "+&r"(*z), [y] "+&r"(*y),
          [g] "+&r"(*g)
        : [middle] "r"(middle), [unit] "r"(128), [half] "r"(64), [add] "r"(rounding), [shift] "r"(shift)
        : "memory");
#else
    int32_t first, second;
    edgebci_silu_fixed(middle, edgebci_load_pair(*z), &first, &second);
    first = edgebci_ssat16(edgebci_smlawb((*y)[0], (uint32_t)first, rounding) >> shift);
    second = edgebci_ssat16(edgebci_smlawb((*y)[1], (uint32_t)second, rounding) >> shift);
    edgebci_store_pair(*g, edgebci_pair(first, second));
    *z += 2;
    *y += 2;
    *g += 2;
#endif
}

/* g = y silu(z). */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gate(const edgebci_mamba2_fixed_t *m, uint32_t n,
                                                     const int16_t *z, const int32_t *y, int16_t *g)
{
    const int16_t *restrict silu = m->silu + 512;
    const uint32_t shift = m->gate_shift;
    const int32_t half = (int32_t)((1u << shift) >> 1);
    const uint32_t together = n % 8u == 0 ? 4 : 2;
    for (const int16_t *const end = z + n; z != end;) {
        for (uint32_t i = 0; i < together; i++) {
            edgebci_mamba2_fixed_gate_two(silu, shift, half, &z, &y, &g);
        }
    }
}

#endif
