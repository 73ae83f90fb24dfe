/* The causal convolution of edgebci.Mamba2StepFixed on a core with Helium: the portable edgebci_mamba2_fixed_channels.h
 * says what it computes. Eight channels at a time, those of even places beside those of odd places, as the
 * multiplications take them:
 *
 *     channel [conv_dim / 8][taps + 8] of 8 int16: taps; multipliers and biases as int32, even places, odd places
 *
 * The parts x, B and C are multiples of 8.
 */
#ifndef EDGEBCI_MAMBA2_FIXED_CHANNELS_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_CHANNELS_HELIUM_H

#include "edgebci_helium.h"
#include "edgebci_mamba2_fixed_layer.h"
#if EDGEBCI_HAS_HELIUM
#include "edgebci_silu_fixed_helium.h"

/* Eight channels: their newest inputs into slot `phase` of the ring, and sums over its taps as counts of SiLU's table. */
static EDGEBCI_INLINE int16x8_t edgebci_mamba2_fixed_eight(uint32_t phase, uint32_t width, uint32_t taps,
                                                           const int32_t *channel, const int16_t *newest, int16_t *ring)
{
    const int16_t *const weight = (const int16_t *)(const void *)channel;
    const int32_t *const scaling = channel + 4u * taps;
    const int16x8_t now = vld1q_s16(newest), last = vld1q_s16(weight + 8u * (taps - 1u));
    int32x4_t even = vmullbq_int_s16(now, last), odd = vmulltq_int_s16(now, last);
    vst1q_s16(ring + phase * width, now);
    for (uint32_t k = 0; k + 1u < taps; k++) {
        const int16x8_t past = vld1q_s16(ring + (phase + 1u + k) % taps * width), w = vld1q_s16(weight + 8u * k);
        even = vaddq_s32(even, vmullbq_int_s16(past, w));
        odd = vaddq_s32(odd, vmulltq_int_s16(past, w));
    }
    even = vaddq_s32(vrmulhq_s32(even, vld1q_s32(scaling)), vld1q_s32(scaling + 8));
    odd = vaddq_s32(vrmulhq_s32(odd, vld1q_s32(scaling + 4)), vld1q_s32(scaling + 12));
    return vqmovntq_s32(vqmovnbq_s32(now, even), odd);
}

/* SiLU of eight counts to u[0], u[stride], ... */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_activate(const int32_t *middle, int16x8_t counts, uint16x8_t places,
                                                         int16_t *u)
{
    const int32x4_t even = edgebci_silu_fixed_four(middle, edgebci_even_counts(counts));
    const int32x4_t odd = edgebci_silu_fixed_four(middle, edgebci_odd_counts(counts));
    vstrhq_scatter_shifted_offset_s16(u, places, vrshrntq_n_s32(vrshrnbq_n_s32(counts, even, 7), odd, 7));
}

/* n channels from the first on: convolution and SiLU; u[0], u[stride], ... What the SiLU of one eight waits for, the sums
 * of the next fill. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_channels(const edgebci_mamba2_fixed_t *m, uint32_t phase, uint32_t first,
                                                         uint32_t n, uint32_t width, uint32_t taps, const int16_t *xbc,
                                                         int16_t *conv, int16_t *u, uint32_t stride)
{
    const int32_t *const middle = edgebci_silu_fixed_middle(m->silu), *channel = m->channel + first / 2u * (taps + 4u);
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)stride);
    int16x8_t counts = edgebci_mamba2_fixed_eight(phase, width, taps, channel, xbc + first, conv + first);
    for (uint32_t i = first + 8; i < first + n; i += 8, u += 8u * stride) {
        channel += 4u * taps + 16u;
        const int16x8_t next = edgebci_mamba2_fixed_eight(phase, width, taps, channel, xbc + i, conv + i);
        edgebci_mamba2_fixed_activate(middle, counts, places, u);
        counts = next;
    }
    edgebci_mamba2_fixed_activate(middle, counts, places, u);
}

/* C in the counts that sums over the state allow, in place. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_limit(uint32_t n, uint32_t shift, int16_t *C)
{
    const int16_t limit = (int16_t)(65535u / n);
    for (uint32_t i = 0; i < n; i += 8) {
        const int16x8_t counts = vrshlq_n_s16(vld1q_s16(C + i), -(int32_t)shift);
        vst1q_s16(C + i, vminq_s16(vmaxq_s16(counts, vdupq_n_s16((int16_t)-limit)), vdupq_n_s16(limit)));
    }
}

#else /* the same program on a machine without Helium */

static inline int16_t edgebci_mamba2_fixed_activated(const int16_t *middle, int32_t sum, int32_t multiplier, int32_t bias)
{
    const int32_t counts = edgebci_ssat16(edgebci_smmlar(sum, multiplier, bias));
    const uint32_t line = edgebci_load_pair(middle + 2 * (counts >> 7));
    return (int16_t)(edgebci_smlad(line, edgebci_pair(128, counts), 64) >> 7);
}

static inline void edgebci_mamba2_fixed_channels(const edgebci_mamba2_fixed_t *m, uint32_t phase, uint32_t first,
                                                 uint32_t n, uint32_t width, uint32_t taps, const int16_t *xbc,
                                                 int16_t *conv, int16_t *u, uint32_t stride)
{
    for (uint32_t i = first; i < first + n; i++, u += stride) {
        const int32_t *const channel = m->channel + i / 8u * (4u * taps + 16u);
        const int32_t *const scaling = channel + 4u * taps + i % 2u * 4u + i % 8u / 2u;
        const int16_t *const weight = (const int16_t *)(const void *)channel + i % 8u;
        int32_t sum = 0;
        conv[phase * width + i] = xbc[i];
        for (uint32_t k = 0; k < taps; k++) {
            sum += conv[(phase + 1u + k) % taps * width + i] * weight[8u * k];
        }
        u[0] = edgebci_mamba2_fixed_activated(m->silu + 512, sum, scaling[0], scaling[8]);
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

#endif
