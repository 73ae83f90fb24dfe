/* The causal convolution of edgebci.Mamba2StepFixed, and SiLU of what it gives. */
#ifndef EDGEBCI_MAMBA2_FIXED_CHANNELS_H
#define EDGEBCI_MAMBA2_FIXED_CHANNELS_H

#include "edgebci_mamba2_fixed_layer.h"

#define EDGEBCI_WIDEST_RING 682u /* channels: the last of four slots lies within the offset of a load */

/* Where the convolution is: the next two channels' numbers, input, place in the ring's slot 0, and output. */
typedef struct {
    const int32_t *channel; /* [channels / 2][taps + 4] */
    const int16_t *newest;  /* [channels] */
    int16_t *ring;          /* [taps][conv_dim] */
    int16_t *u;
} edgebci_mamba2_channels_t;

/* A sum as a count of SiLU's table, and what the table says. */
static EDGEBCI_INLINE int16_t edgebci_mamba2_fixed_activated(const int16_t *middle, int32_t sum, const int32_t *scaling)
{
    const int32_t counts = edgebci_ssat16(edgebci_smmlar(sum, scaling[0], scaling[1]));
    const uint32_t line = edgebci_load_pair(middle + 2 * (counts >> 7));
    return (int16_t)(edgebci_smlad(line, edgebci_pair(128, counts), 64) >> 7);
}

/* Two channels: their newest inputs into slot `phase` of the ring, sums over its taps, SiLU; and on to the next. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_next(const int16_t *middle, uint32_t phase, uint32_t width, uint32_t taps,
                                                     uint32_t stride, edgebci_mamba2_channels_t *c)
{
    int32_t first = 0, second = 0;
    edgebci_store_pair(c->ring + phase * width, edgebci_load_pair(c->newest));
    for (uint32_t k = 0; k < taps; k++) {
        const uint32_t pair = edgebci_load_pair(c->ring + (phase + 1u + k) % taps * width);
        const uint32_t weight = (uint32_t)c->channel[k];
        first += edgebci_low_half(pair) * edgebci_low_half(weight);
        second += edgebci_high_half(pair) * edgebci_high_half(weight);
    }
    c->u[0] = edgebci_mamba2_fixed_activated(middle, first, c->channel + taps);
    c->u[stride] = edgebci_mamba2_fixed_activated(middle, second, c->channel + taps + 2);
    c->channel += taps + 4u;
    c->newest += 2;
    c->ring += 2;
    c->u += 2u * stride;
}

#if EDGEBCI_HAS_DSP
/* The same for four taps; `phase` is a constant, so that all places in the ring are. Loads stand together: 40 cycles for
 * two channels on a Cortex-M4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_next_of_four(const int16_t *middle, uint32_t phase, uint32_t width,
                                                             uint32_t stride, edgebci_mamba2_channels_t *c)
{
    uint32_t a, b, d, e, f, g;
    int32_t first, second;
    __asm__ volatile(
        "ldr %[a], [%[v], %[oldest]]\n\tldr %[b], [%[v], %[older]]\n\tldr %[d], [%[v], %[old]]\n\t"
        "ldr %[e], [%[k]]\n\tldr %[f], [%[k], #4]\n\tldr %[g], [%[k], #8]\n\t"
        "smulbb %[first], %[a], %[e]\n\tsmultt %[second], %[a], %[e]\n\t"
        "smlabb %[first], %[b], %[f], %[first]\n\tsmlatt %[second], %[b], %[f], %[second]\n\t"
        "smlabb %[first], %[d], %[g], %[first]\n\tsmlatt %[second], %[d], %[g], %[second]\n\t"
        "ldr %[a], [%[x]], #4\n\tldr %[b], [%[k], #12]\n\tldr %[d], [%[k], #16]\n\tldr %[e], [%[k], #20]\n\t"
        "ldr %[f], [%[k], #24]\n\tldr %[g], [%[k], #28]\n\tstr %[a], [%[v], %[now]]\n\t"
        "smlabb %[first], %[a], %[b], %[first]\n\tsmlatt %[second], %[a], %[b], %[second]\n\t"
        "smmlar %[first], %[first], %[d], %[e]\n\tsmmlar %[second], %[second], %[f], %[g]\n\t"
        "ssat %[first], #16, %[first]\n\tssat %[second], #16, %[second]\n\t"
        "asr %[a], %[first], #7\n\tasr %[b], %[second], #7\n\tadd %[k], %[k], #32\n\tadd %[v], %[v], #4\n\t"
        "ldr %[a], [%[middle], %[a], lsl #2]\n\tldr %[b], [%[middle], %[b], lsl #2]\n\t"
        "smlatb %[first], %[a], %[first], %[half]\n\tsmlatb %[second], %[b], %[second], %[half]\n\t"
        "asr %[first], %[first], #7\n\tasr %[second], %[second], #7\n\t"
        "sxtah %[first], %[first], %[a]\n\tsxtah %[second], %[second], %[b]\n\t"
        "strh %[first], [%[u]], %[step]\n\tstrh %[second], [%[u]], %[step]"
        : [a] "=&r"(a), [b] "=&r"(b), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [g] "=&r"(g), [first] "=&r"(first),
          [second] "=&r"(second), [v] "+&r"(c->ring), [x] "+&r"(c->newest), [k] "+&r"(c->channel), [u] "+&r"(c->u)
        : [middle] "r"(middle), [half] "r"(64), [step] "i"(2u * stride), [oldest] "i"((phase + 1u) % 4u * 2u * width),
          [older] "i"((phase + 2u) % 4u * 2u * width), [old] "i"((phase + 3u) % 4u * 2u * width),
          [now] "i"(phase * 2u * width)
        : "memory");
}
#else
static EDGEBCI_INLINE void edgebci_mamba2_fixed_next_of_four(const int16_t *middle, uint32_t phase, uint32_t width,
                                                             uint32_t stride, edgebci_mamba2_channels_t *c)
{
    edgebci_mamba2_fixed_next(middle, phase, width, 4, stride, c);
}
#endif

/* Channels up to the output `end`, a multiple of 4; `phase` is a constant where taps are four. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_turn(const int16_t *middle, uint32_t phase, uint32_t width, uint32_t taps,
                                                     uint32_t stride, edgebci_mamba2_channels_t *c, const int16_t *end)
{
    while (c->u != end) {
        for (uint32_t i = 0; i < 2; i++) {
            if (taps == 4 && width <= EDGEBCI_WIDEST_RING) {
                edgebci_mamba2_fixed_next_of_four(middle, phase, width, stride, c);
            } else {
                edgebci_mamba2_fixed_next(middle, phase, width, taps, stride, c);
            }
        }
    }
}

/* n channels from the first on: convolution and SiLU; u[0], u[stride], ... */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_channels(const edgebci_mamba2_fixed_t *m, uint32_t phase, uint32_t first,
                                                         uint32_t n, uint32_t width, uint32_t taps, const int16_t *xbc,
                                                         int16_t *conv, int16_t *u, uint32_t stride)
{
    const int16_t *const silu = m->silu + 512, *const end = u + n * stride;
    edgebci_mamba2_channels_t c = {m->channel + first / 2u * (taps + 4u), xbc + first, conv + first, u};
    if (taps != 4) {
        edgebci_mamba2_fixed_turn(silu, phase, width, taps, stride, &c, end);
    } else if (phase == 0) {
        edgebci_mamba2_fixed_turn(silu, 0, width, taps, stride, &c, end);
    } else if (phase == 1) {
        edgebci_mamba2_fixed_turn(silu, 1, width, taps, stride, &c, end);
    } else if (phase == 2) {
        edgebci_mamba2_fixed_turn(silu, 2, width, taps, stride, &c, end);
    } else {
        edgebci_mamba2_fixed_turn(silu, 3, width, taps, stride, &c, end);
    }
}

/* C in the counts that sums over the state allow, in place. */
static inline void edgebci_mamba2_fixed_limit(uint32_t n, uint32_t shift, int16_t *C)
{
    const int32_t half = (int32_t)((1u << shift) >> 1), limit = (int32_t)(65535u / n);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t counts = (C[i] + half) >> shift;
        C[i] = (int16_t)(counts < -limit ? -limit : counts > limit ? limit : counts);
    }
}

#endif
