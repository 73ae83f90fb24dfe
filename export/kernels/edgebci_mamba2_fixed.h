/* edgebci.Mamba2StepFixed: one step of one stream in int16, with a state that is rewritten at every fourth step only.
 *
 * What is computed, and why that may be done, is in edgebci/operators/mamba2_fixed.py.
 * EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps) defines the kernel for one shape,
 * `void name(m, p, conv, ssm, x, B, kept, phase, g)`, and its parts as functions of their own.
 *
 *     p [z | x | B | C | dt]                 int16
 *     conv [conv_dim][taps]                  int16, oldest first; taps even; conv_dim = heads * headdim + 2 * N
 *     ssm [heads][headdim][N]                int16; N = state_size, a multiple of 4
 *     x [heads * headdim][4], B [4][N]       int16, of the last steps: step t lies in slot t % 4
 *     kept [heads][5]                        float: decay since the rewrite, weight of each slot
 *     phase [1]                              int32, the slot of the step
 *     g [heads * headdim]                    out, int16
 *
 * headdim is a multiple of 4. All arrays begin on a word.
 */
#ifndef EDGEBCI_MAMBA2_FIXED_H
#define EDGEBCI_MAMBA2_FIXED_H

#include <stdint.h>

#include "edgebci_norm_fixed.h"

#define EDGEBCI_SLOTS 4u
#define EDGEBCI_GATE_UNIT 0x1.0p-11f
#define EDGEBCI_LARGEST_GAIN 2147483520.0f /* the largest float below 2^31 */

typedef struct {
    const int16_t *conv_weight;  /* [conv_dim][taps] */
    const int32_t *conv_scaling; /* [conv_dim][2]: multiplier, bias */
    const int16_t *silu;         /* [512][2]: value, rise */
    const float *dt_bias;        /* [heads] */
    const float *A;              /* [heads], negative */
    const float *skip;           /* [heads] */
    const float *state_gain;     /* [heads] */
    const float *inject;         /* [heads] */
    float readout;
    uint32_t c_shift, gate_shift;
} edgebci_mamba2_fixed_t;

/* SiLU of counts of 2^-11, linear between the values of the table. */
static inline int32_t edgebci_silu_fixed(const int16_t *table, int32_t counts)
{
    const uint32_t entry = edgebci_load_pair(table + 2 * ((counts >> 7) + 256));
    return edgebci_smlad(entry, (((uint32_t)counts & 127u) << 16) | 128u, 64) >> 7;
}

/* Shift the window of one channel, whose newest input is `newest`; returns the sum over its taps. */
static EDGEBCI_INLINE int32_t edgebci_mamba2_fixed_taps(const int16_t *weight, uint32_t taps, int16_t newest,
                                                        int16_t *window)
{
    int32_t sum = 0;
    uint32_t pair = edgebci_load_pair(window);
    for (uint32_t k = 0; k < taps; k += 2) {
        const uint32_t next = k + 2 < taps ? edgebci_load_pair(window + k + 2) : (uint16_t)newest;
        const uint32_t moved = (pair >> 16) | (next << 16);
        edgebci_store_pair(window + k, moved);
        sum = edgebci_smlad(moved, edgebci_load_pair(weight + k), sum);
        pair = next;
    }
    return sum;
}

/* Channels first to first + n: convolution and SiLU; u[0], u[stride], ... */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_channels(const edgebci_mamba2_fixed_t *m, uint32_t first, uint32_t n,
                                                         uint32_t taps, const int16_t *restrict xbc,
                                                         int16_t *restrict conv, int16_t *restrict u, uint32_t stride)
{
    const int16_t *restrict weight = m->conv_weight + first * taps;
    const int32_t *restrict scaling = m->conv_scaling + 2u * first;
    const int16_t *restrict silu = m->silu;
    xbc += first;
    conv += first * taps;
    for (uint32_t c = 0; c < n; c++) {
        const int32_t sum = edgebci_mamba2_fixed_taps(weight, taps, xbc[c], conv);
        const int32_t counts = edgebci_ssat16(edgebci_smmlar(sum, scaling[0], scaling[1]));
        *u = (int16_t)edgebci_silu_fixed(silu, counts);
        weight += taps;
        conv += taps;
        scaling += 2;
        u += stride;
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

/* Age the weights of all heads' slots; the newest becomes dt. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_age(const edgebci_mamba2_fixed_t *m, uint32_t heads, uint32_t slot,
                                                    const int16_t *dt_raw, float *kept)
{
    for (uint32_t head = 0; head < heads; head++, kept += 1u + EDGEBCI_SLOTS) {
        const float dt = edgebci_softplus((float)dt_raw[head] * EDGEBCI_GATE_UNIT + m->dt_bias[head]);
        const float decay = edgebci_exp(dt * m->A[head]);
        for (uint32_t j = 0; j < 1u + EDGEBCI_SLOTS; j++) {
            kept[j] = edgebci_flush(kept[j] * decay);
        }
        kept[1u + slot] = dt;
    }
}

/* C times four rows of the state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < n; j += 2) {
        const uint32_t h0 = edgebci_load_pair(h + j), h1 = edgebci_load_pair(h + n + j);
        const uint32_t h2 = edgebci_load_pair(h + 2u * n + j), h3 = edgebci_load_pair(h + 3u * n + j);
        const uint32_t c = edgebci_load_pair(C + j);
        s0 = edgebci_smlad(h0, c, s0);
        s1 = edgebci_smlad(h1, c, s1);
        s2 = edgebci_smlad(h2, c, s2);
        s3 = edgebci_smlad(h3, c, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* The weights W of one head's slots, as two pairs. */
static inline void edgebci_mamba2_fixed_weights(const edgebci_mamba2_fixed_t *m, uint32_t head, uint32_t slot,
                                                const float *kept, const float *products, uint32_t *pairs)
{
    int32_t W[EDGEBCI_SLOTS];
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        const float w = (kept[1u + j] * products[j]) * m->readout + (j == slot ? m->skip[head] : 0.0f);
        W[j] = edgebci_round(edgebci_clamp(w, -8191.0f, 8191.0f));
    }
    pairs[0] = edgebci_pair(W[0], W[1]);
    pairs[1] = edgebci_pair(W[2], W[3]);
}

/* y = C h + D x of all heads, y [heads * headdim] in 32 bits. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_read(const edgebci_mamba2_fixed_t *m, uint32_t heads, uint32_t headdim,
                                                     uint32_t n, uint32_t slot, const int16_t *ssm, const int16_t *x,
                                                     const int16_t *B, const int16_t *C, const float *kept,
                                                     int32_t *restrict y)
{
    int32_t sums[4];
    float products[EDGEBCI_SLOTS];
    edgebci_mamba2_fixed_rows(B, C, n, sums);
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        products[j] = (float)sums[j];
    }
    for (uint32_t head = 0; head < heads; head++, kept += 1u + EDGEBCI_SLOTS) {
        uint32_t W[2];
        edgebci_mamba2_fixed_weights(m, head, slot, kept, products, W);
        const int32_t gain = edgebci_truncate(kept[0] * m->state_gain[head], EDGEBCI_LARGEST_GAIN);
        for (uint32_t i = 0; i < headdim; i += 4, ssm += 4u * n, x += 4u * EDGEBCI_SLOTS, y += 4) {
            edgebci_mamba2_fixed_rows(ssm, C, n, sums);
            for (uint32_t k = 0; k < 4; k++) {
                const uint32_t x01 = edgebci_load_pair(x + 4u * k), x23 = edgebci_load_pair(x + 4u * k + 2u);
                const int32_t recent = edgebci_smlad(W[1], x23, edgebci_smlad(W[0], x01, 0));
                y[k] = edgebci_smmlar(sums[k], gain, recent);
            }
        }
    }
}

/* One head: h = s h + sum of w_j x_j B_j, rounded to the nearest. folded [N][4] holds w_j B_j. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const int16_t *folded, int16_t *h)
{
    for (uint32_t i = 0; i < headdim; i++, x += EDGEBCI_SLOTS) {
        const uint32_t x01 = edgebci_load_pair(x), x23 = edgebci_load_pair(x + 2);
        for (uint32_t j = 0; j < n; j += 2, h += 2) {
            const int16_t *f = folded + EDGEBCI_SLOTS * j;
            const uint32_t pair = edgebci_load_pair(h);
            int32_t low = edgebci_smlawb(scale, pair, 2048), high = edgebci_smlawt(scale, pair, 2048);
            low = edgebci_smlad(x01, edgebci_load_pair(f), low);
            low = edgebci_smlad(x23, edgebci_load_pair(f + 2), low);
            high = edgebci_smlad(x01, edgebci_load_pair(f + 4), high);
            high = edgebci_smlad(x23, edgebci_load_pair(f + 6), high);
            edgebci_store_pair(h, edgebci_pair(edgebci_ssat16(low >> 12), edgebci_ssat16(high >> 12)));
        }
    }
}

/* Rewrite the states of the heads whose turn it is. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rewrite(const edgebci_mamba2_fixed_t *m, uint32_t heads,
                                                        uint32_t headdim, uint32_t n, uint32_t slot, int16_t *ssm,
                                                        const int16_t *x, const int16_t *B, float *kept,
                                                        int16_t *restrict folded)
{
    for (uint32_t head = slot; head < heads; head += EDGEBCI_SLOTS) {
        float *const own = kept + (1u + EDGEBCI_SLOTS) * head;
        for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
            const int32_t gain = edgebci_truncate(own[1u + j] * m->inject[head], EDGEBCI_LARGEST_GAIN);
            for (uint32_t i = 0; i < n; i++) {
                const int32_t b = (int32_t)((uint32_t)(int32_t)B[n * j + i] << 16);
                folded[EDGEBCI_SLOTS * i + j] = (int16_t)edgebci_ssat14(edgebci_smmlar(b, gain, 0));
            }
            own[1u + j] = 0.0f;
        }
        const int32_t scale = edgebci_truncate(own[0] * 0x1.0p28f, 0x1.0p28f);
        own[0] = 1.0f;
        const uint32_t at = headdim * head;
        edgebci_mamba2_fixed_inject(headdim, n, scale, x + EDGEBCI_SLOTS * at, folded, ssm + n * at);
    }
}

/* g = y silu(z). */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gate(const edgebci_mamba2_fixed_t *m, uint32_t n,
                                                     const int16_t *restrict z, const int32_t *restrict y,
                                                     int16_t *restrict g)
{
    const int16_t *restrict silu = m->silu;
    const uint32_t shift = m->gate_shift;
    const int32_t half = (int32_t)((1u << shift) >> 1);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t scaled = edgebci_smlawb(y[i], (uint32_t)edgebci_silu_fixed(silu, z[i]), half);
        g[i] = (int16_t)edgebci_ssat16(scaled >> shift);
    }
}

#define EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps)                                           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_mamba2_fixed_t *m, uint32_t slot, const int16_t *xbc, \
                                                  int16_t *conv, int16_t *x, int16_t *B, int16_t *C)                  \
    {                                                                                                                 \
        const uint32_t inner = heads * headdim;                                                                       \
        edgebci_mamba2_fixed_channels(m, 0, inner, taps, xbc, conv, x + slot, EDGEBCI_SLOTS);                         \
        edgebci_mamba2_fixed_channels(m, inner, state_size, taps, xbc, conv, B + slot * state_size, 1);               \
        edgebci_mamba2_fixed_channels(m, inner + state_size, state_size, taps, xbc, conv, C, 1);                      \
        edgebci_mamba2_fixed_limit(state_size, m->c_shift, C);                                                        \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_age(const edgebci_mamba2_fixed_t *m, uint32_t slot, const int16_t *dt_raw,      \
                                          float *kept)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_age(m, heads, slot, dt_raw, kept);                                                       \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_read(const edgebci_mamba2_fixed_t *m, uint32_t slot, const int16_t *ssm,        \
                                           const int16_t *x, const int16_t *B, const int16_t *C, const float *kept,   \
                                           int32_t *y)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_read(m, heads, headdim, state_size, slot, ssm, x, B, C, kept, y);                        \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_rewrite(const edgebci_mamba2_fixed_t *m, uint32_t slot, int16_t *ssm,           \
                                              const int16_t *x, const int16_t *B, float *kept)                        \
    {                                                                                                                 \
        int16_t folded[EDGEBCI_SLOTS * state_size] EDGEBCI_ALIGNED;                                                   \
        edgebci_mamba2_fixed_rewrite(m, heads, headdim, state_size, slot, ssm, x, B, kept, folded);                   \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_gate(const edgebci_mamba2_fixed_t *m, const int16_t *z, const int32_t *y,       \
                                           int16_t *g)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_gate(m, heads * headdim, z, y, g);                                                       \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name(const edgebci_mamba2_fixed_t *m, const int16_t *p, int16_t *conv, int16_t *ssm,   \
                                    int16_t *x, int16_t *B, float *kept, int32_t *phase, int16_t *g)                  \
    {                                                                                                                 \
        const uint32_t inner = heads * headdim, slot = (uint32_t)phase[0];                                            \
        int16_t C[state_size] EDGEBCI_ALIGNED;                                                                        \
        int32_t y[heads * headdim];                                                                                   \
        name##_convolution(m, slot, p + inner, conv, x, B, C);                                                        \
        name##_age(m, slot, p + 2u * inner + 2u * state_size, kept);                                                  \
        name##_read(m, slot, ssm, x, B, C, kept, y);                                                                  \
        name##_rewrite(m, slot, ssm, x, B, kept);                                                                     \
        name##_gate(m, p, y, g);                                                                                      \
        phase[0] = (int32_t)((slot + 1u) % EDGEBCI_SLOTS);                                                            \
    }

#endif
