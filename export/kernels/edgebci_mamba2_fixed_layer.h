/* edgebci.Mamba2StepFixed: what a layer has in flash, where its arrays lie, and SiLU.
 *
 *     p [z | x | B | C | dt]                 int16
 *     conv [taps][conv_dim]                  int16, a ring: step t lies in slot t % taps; conv_dim = heads * headdim + 2 N
 *     ssm [heads][headdim][N]                int16; N = state_size, a multiple of 8
 *     x [heads * headdim][4], B [4][N]       int16, of the last steps: step t lies in slot t % 4
 *     kept [heads][5]                        float: decay since the rewrite, weight of each slot
 *     phase [1]                              int32, the step modulo taps, which are 4 or 8
 *     g [heads * headdim]                    out, int16
 *
 * headdim is a multiple of 4. All arrays begin on a word.
 */
#ifndef EDGEBCI_MAMBA2_FIXED_LAYER_H
#define EDGEBCI_MAMBA2_FIXED_LAYER_H

#include <stdint.h>

#include "edgebci_dsp.h"

#define EDGEBCI_SLOTS 4u
/* Loads that stand together are worth assembly where instructions go one at a time; on a Cortex-M7 the compiler does
 * better. */
#if EDGEBCI_HAS_DSP && !(defined(__ARM_FPV5__) && __ARM_ARCH == 7)
#define EDGEBCI_LOADS_TOGETHER 1
#else
#define EDGEBCI_LOADS_TOGETHER 0
#endif
#define EDGEBCI_GATE_UNIT 0x1.0p-11f
#define EDGEBCI_LARGEST_GAIN 2147483520.0f /* the largest float below 2^31 */

typedef struct {
    const int32_t *channel;  /* [conv_dim / 2][taps + 4]: taps, multiplier and bias of two channels */
    const int16_t *silu;     /* [512][2]: intercept, slope */
    const float *dt_bias;    /* [heads] */
    const float *A;          /* [heads], negative */
    const float *skip;       /* [heads] */
    const float *state_gain; /* [heads] */
    const float *inject;     /* [heads] */
    float readout;
    uint32_t c_shift, gate_shift;
} edgebci_mamba2_fixed_t;

/* SiLU of two counts of 2^-11, side by side in a pair: the straight lines of their entries; `middle` is that of 0. */
static EDGEBCI_INLINE void edgebci_silu_fixed(const int16_t *middle, uint32_t pair, int32_t *first, int32_t *second)
{
#if EDGEBCI_HAS_DSP
    int32_t a, b;
    uint32_t line_a, line_b;
    __asm__("sbfx %[la], %[pair], #7, #9\n\tasr %[lb], %[pair], #23\n\t"
            "pkhbt %[a], %[unit], %[pair], lsl #16\n\tpkhbt %[b], %[unit], %[pair]\n\t"
            "ldr %[la], [%[middle], %[la], lsl #2]\n\tldr %[lb], [%[middle], %[lb], lsl #2]\n\t"
            "smlad %[a], %[la], %[a], %[half]\n\tsmlad %[b], %[lb], %[b], %[half]"
            : [a] "=&r"(a), [b] "=&r"(b), [la] "=&r"(line_a), [lb] "=&r"(line_b)
            : [pair] "r"(pair), [unit] "r"(128), [half] "r"(64), [middle] "r"(middle)); /* the table never changes */
    *first = a >> 7;
    *second = b >> 7;
#else
    const int32_t low = edgebci_low_half(pair), high = edgebci_high_half(pair);
    *first = edgebci_smlad(edgebci_load_pair(middle + 2 * (low >> 7)), edgebci_pair(128, low), 64) >> 7;
    *second = edgebci_smlad(edgebci_load_pair(middle + 2 * (high >> 7)), edgebci_pair(128, high), 64) >> 7;
#endif
}

#endif
