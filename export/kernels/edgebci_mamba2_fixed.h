/* edgebci.Mamba2StepFixed: one step of one stream in int16, with a state that is rewritten at every fourth step only.
 *
 * What is computed, and why that may be done, is in edgebci/operators/mamba2_fixed.py.
 * EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps) defines the kernel for one shape,
 * `void name(m, p, conv, ssm, x, B, kept, phase, g)`, and its parts as functions of their own.
 *
 *     p [z | x | B | C | dt]                 int16
 *     conv [conv_dim][taps]                  int16, oldest first; taps even; conv_dim = heads * headdim + 2 * N
 *     ssm [heads][headdim][N]                int16; N = state_size, a multiple of 8
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
/* Loads that stand together are worth assembly where instructions go one at a time; elsewhere the compiler does better. */
#if EDGEBCI_HAS_DSP && !defined(__ARM_FPV5__)
#define EDGEBCI_LOADS_TOGETHER 1
#else
#define EDGEBCI_LOADS_TOGETHER 0
#endif
#define EDGEBCI_GATE_UNIT 0x1.0p-11f
#define EDGEBCI_LARGEST_GAIN 2147483520.0f /* the largest float below 2^31 */

typedef struct {
    const int16_t *conv_weight;  /* [conv_dim][taps] */
    const int32_t *conv_scaling; /* [conv_dim][2]: multiplier, bias */
    const int16_t *silu;         /* [512][2]: intercept, slope */
    const float *dt_bias;        /* [heads] */
    const float *A;              /* [heads], negative */
    const float *skip;           /* [heads] */
    const float *state_gain;     /* [heads] */
    const float *inject;         /* [heads] */
    float readout;
    uint32_t c_shift, gate_shift;
} edgebci_mamba2_fixed_t;

/* SiLU of counts of 2^-11: the straight line of their entry; `middle` is that of 0. */
static inline int32_t edgebci_silu_fixed(const int16_t *middle, int32_t counts)
{
#if EDGEBCI_LOADS_TOGETHER
    int32_t value, line;
    __asm__("asr %[line], %[counts], #7\n\tpkhbt %[value], %[unit], %[counts], lsl #16\n\t"
            "ldr %[line], [%[middle], %[line], lsl #2]\n\tsmlad %[value], %[line], %[value], %[half]"
            : [value] "=&r"(value), [line] "=&r"(line)
            : [counts] "r"(counts), [unit] "r"(128), [half] "r"(64), [middle] "r"(middle)); /* the table never changes */
    return value >> 7;
#else
    const uint32_t line = edgebci_load_pair(middle + 2 * (counts >> 7));
    return edgebci_smlad(line, edgebci_pair(128, counts), 64) >> 7;
#endif
}

/* Shift the window of one channel, whose newest input is `newest`; returns the sum over its taps. */
static EDGEBCI_INLINE int32_t edgebci_mamba2_fixed_taps(const int16_t *weight, uint32_t taps, int32_t newest,
                                                        int16_t *window)
{
    int32_t sum = 0;
    uint32_t pair = edgebci_load_pair(window);
    for (uint32_t k = 0; k < taps; k += 2) {
        const uint32_t next = k + 2 < taps ? edgebci_load_pair(window + k + 2) : (uint32_t)newest;
        const uint32_t moved = edgebci_pair(edgebci_high_half(pair), edgebci_low_half(next));
        edgebci_store_pair(window + k, moved);
        sum = edgebci_smlad(moved, edgebci_load_pair(weight + k), sum);
        pair = next;
    }
    return sum;
}

/* The convolution of one channel, in counts of 2^-11, and on to the next channel. */
typedef struct {
    const int16_t *weight;  /* [channels][taps] */
    const int32_t *scaling; /* [channels][2] */
    const int16_t *newest;  /* [channels] */
    int16_t *window;        /* [channels][taps] */
} edgebci_mamba2_channel_t;

static EDGEBCI_INLINE int32_t edgebci_mamba2_fixed_next(uint32_t taps, edgebci_mamba2_channel_t *c)
{
    const int32_t sum = edgebci_mamba2_fixed_taps(c->weight, taps, *c->newest++, c->window);
    const int32_t counts = edgebci_ssat16(edgebci_smmlar(sum, c->scaling[0], c->scaling[1]));
    c->weight += taps;
    c->window += taps;
    c->scaling += 2;
    return counts;
}

#if EDGEBCI_HAS_DSP
/* The same for four taps: 7 loads that stand together, 3 multiply-accumulates; 18 cycles on a Cortex-M4. */
static EDGEBCI_INLINE int32_t edgebci_mamba2_fixed_next_of_four(edgebci_mamba2_channel_t *c)
{
    uint32_t v01, v23, v4, w01, w23;
    int32_t m, counts;
    __asm__ volatile(
        "ldr %[v01], [%[v]]\n\tldr %[v23], [%[v], #4]\n\tldrsh %[v4], [%[x]], #2\n\tldr %[w23], [%[w], #4]\n\t"
        "ldr %[w01], [%[w]], #8\n\tldr %[counts], [%[b], #4]\n\tldr %[m], [%[b]], #8\n\t"
        "lsr %[v01], %[v01], #16\n\tpkhbt %[v01], %[v01], %[v23], lsl #16\n\t"
        "lsr %[v23], %[v23], #16\n\tpkhbt %[v23], %[v23], %[v4], lsl #16\n\t"
        "smuad %[w01], %[v01], %[w01]\n\tstr %[v01], [%[v]], #4\n\tsmlad %[w01], %[v23], %[w23], %[w01]\n\t"
        "str %[v23], [%[v]], #4\n\tsmmlar %[counts], %[w01], %[m], %[counts]\n\tssat %[counts], #16, %[counts]"
        : [v01] "=&r"(v01), [v23] "=&r"(v23), [v4] "=&r"(v4), [w01] "=&r"(w01), [w23] "=&r"(w23), [m] "=&r"(m),
          [counts] "=&r"(counts), [v] "+&r"(c->window), [x] "+&r"(c->newest), [w] "+&r"(c->weight), [b] "+&r"(c->scaling)
        :
        : "memory");
    return counts;
}
#else
static EDGEBCI_INLINE int32_t edgebci_mamba2_fixed_next_of_four(edgebci_mamba2_channel_t *c)
{
    return edgebci_mamba2_fixed_next(4, c);
}
#endif

/* n channels from the first on: convolution and SiLU; u[0], u[stride], ... */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_channels(const edgebci_mamba2_fixed_t *m, uint32_t first, uint32_t n,
                                                         uint32_t taps, const int16_t *xbc, int16_t *conv, int16_t *u,
                                                         uint32_t stride)
{
    const int16_t *const silu = m->silu + 512;
    edgebci_mamba2_channel_t c = {m->conv_weight + first * taps, m->conv_scaling + 2u * first, xbc + first,
                                  conv + first * taps};
    for (const int16_t *const end = u + n * stride; u != end; u += stride) {
        const int32_t counts = taps == 4 ? edgebci_mamba2_fixed_next_of_four(&c) : edgebci_mamba2_fixed_next(taps, &c);
        *u = (int16_t)edgebci_silu_fixed(silu, counts);
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

/* C times four rows of n elements. Two elements of each take 5 loads and 4 multiply-accumulates: 10 cycles on a
 * Cortex-M4. */
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_FOUR_ROWS                                                                                             \
    "ldr %[h1], [%[h], %[r1]]\n\tldr %[h2], [%[h], %[r2]]\n\tldr %[h3], [%[h], %[r3]]\n\tldr %[h0], [%[h]], #4\n\t"     \
    "ldr %[v], [%[c]], #4\n\t"                                                                                        \
    "smlad %[s0], %[h0], %[v], %[s0]\n\tsmlad %[s1], %[h1], %[v], %[s1]\n\t"                                          \
    "smlad %[s2], %[h2], %[v], %[s2]\n\tsmlad %[s3], %[h3], %[v], %[s3]\n\t"

static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    uint32_t h0, h1, h2, h3, v;
    for (const int16_t *const end = h + n; h != end;) {
        __asm__ volatile(EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS
                         : [h0] "=&r"(h0), [h1] "=&r"(h1), [h2] "=&r"(h2), [h3] "=&r"(h3), [v] "=&r"(v),
                           [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3), [h] "+&r"(h), [c] "+&r"(C)
                         : [r1] "i"(2u * n), [r2] "i"(4u * n), [r3] "i"(6u * n)
                         : "memory");
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#else
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < n; j += 2) {
        const uint32_t c = edgebci_load_pair(C + j);
        s0 = edgebci_smlad(edgebci_load_pair(h + j), c, s0);
        s1 = edgebci_smlad(edgebci_load_pair(h + n + j), c, s1);
        s2 = edgebci_smlad(edgebci_load_pair(h + 2u * n + j), c, s2);
        s3 = edgebci_smlad(edgebci_load_pair(h + 3u * n + j), c, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#endif

/* The weights W of one head's slots, as two pairs. */
static inline void edgebci_mamba2_fixed_weights(const edgebci_mamba2_fixed_t *m, uint32_t head, uint32_t slot,
                                                const float *kept, const float *products, uint32_t *pairs)
{
    int32_t W[EDGEBCI_SLOTS];
    float skip[EDGEBCI_SLOTS] = {0.0f, 0.0f, 0.0f, 0.0f};
    skip[slot] = m->skip[head];
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        const float w = (kept[1u + j] * products[j]) * m->readout + skip[j];
        W[j] = edgebci_round_within(w, 8191);
    }
    pairs[0] = edgebci_pair(W[0], W[1]);
    pairs[1] = edgebci_pair(W[2], W[3]);
}

/* y of two rows: gain times C h, and W times the x of the slots. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_outputs(const int16_t *x, const uint32_t *W, int32_t gain,
                                                        const int32_t *sums, int32_t *y)
{
    uint32_t a01 = edgebci_load_pair(x), a23 = edgebci_load_pair(x + 2);
    uint32_t b01 = edgebci_load_pair(x + 4), b23 = edgebci_load_pair(x + 6);
    EDGEBCI_LOADED_4(a01, a23, b01, b23);
    const int32_t recent_a = edgebci_smlad(W[1], a23, edgebci_smlad(W[0], a01, 0));
    const int32_t recent_b = edgebci_smlad(W[1], b23, edgebci_smlad(W[0], b01, 0));
    y[0] = edgebci_smmlar(sums[0], gain, recent_a);
    y[1] = edgebci_smmlar(sums[1], gain, recent_b);
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
            edgebci_mamba2_fixed_outputs(x, W, gain, sums, y);
            edgebci_mamba2_fixed_outputs(x + 2u * EDGEBCI_SLOTS, W, gain, sums + 2, y + 2);
        }
    }
}

/* One row of n elements: h := s h + sum of w_j x_j B_j, rounded. x01, x23 are the row's x of all slots; folded [n][4]
 * holds w_j B_j. Two elements take 5 loads and 6 multiply-accumulates: 16 cycles on a Cortex-M4. */
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_REWRITE_TWO                                                                                           \
    "ldr %[v], [%[h]]\n\tldr %[f23], [%[f], #4]\n\tldr %[g01], [%[f], #8]\n\tldr %[g23], [%[f], #12]\n\t"             \
    "ldr %[f01], [%[f]], #16\n\t"                                                                                     \
    "smlawb %[low], %[s], %[v], %[half]\n\tsmlawt %[v], %[s], %[v], %[half]\n\t"                                      \
    "smlad %[low], %[x01], %[f01], %[low]\n\tsmlad %[v], %[x01], %[g01], %[v]\n\t"                                    \
    "smlad %[low], %[x23], %[f23], %[low]\n\tsmlad %[v], %[x23], %[g23], %[v]\n\t"                                    \
    "ssat %[low], #16, %[low], asr #12\n\tssat %[v], #16, %[v], asr #12\n\t"                                          \
    "pkhbt %[v], %[low], %[v], lsl #16\n\tstr %[v], [%[h]], #4\n\t"

static EDGEBCI_INLINE void edgebci_mamba2_fixed_row(uint32_t n, int32_t scale, uint32_t x01, uint32_t x23,
                                                    const int16_t *folded, int16_t *h)
{
    const int32_t half = 2048;
    uint32_t v, low, f01, f23, g01, g23;
    for (const int16_t *const end = h + n; h != end;) {
        __asm__ volatile(EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO
                         : [v] "=&r"(v), [low] "=&r"(low), [f01] "=&r"(f01), [f23] "=&r"(f23), [g01] "=&r"(g01),
                           [g23] "=&r"(g23), [h] "+&r"(h), [f] "+&r"(folded)
                         : [s] "r"(scale), [half] "r"(half), [x01] "r"(x01), [x23] "r"(x23)
                         : "memory");
    }
}
#else
static EDGEBCI_INLINE void edgebci_mamba2_fixed_row(uint32_t n, int32_t scale, uint32_t x01, uint32_t x23,
                                                    const int16_t *folded, int16_t *h)
{
    for (uint32_t j = 0; j < n; j += 2, folded += 2u * EDGEBCI_SLOTS) {
        const uint32_t pair = edgebci_load_pair(h + j);
        int32_t low = edgebci_smlawb(scale, pair, 2048), high = edgebci_smlawt(scale, pair, 2048);
        low = edgebci_smlad(x01, edgebci_load_pair(folded), low);
        low = edgebci_smlad(x23, edgebci_load_pair(folded + 2), low);
        high = edgebci_smlad(x01, edgebci_load_pair(folded + 4), high);
        high = edgebci_smlad(x23, edgebci_load_pair(folded + 6), high);
        edgebci_store_pair(h + j, edgebci_pair(edgebci_ssat16(low >> 12), edgebci_ssat16(high >> 12)));
    }
}
#endif

/* One head: every row of its state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const int16_t *folded, int16_t *h)
{
    for (uint32_t i = 0; i < headdim; i++, x += EDGEBCI_SLOTS, h += n) {
        edgebci_mamba2_fixed_row(n, scale, edgebci_load_pair(x), edgebci_load_pair(x + 2), folded, h);
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
        int32_t gain[EDGEBCI_SLOTS];
        for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
            gain[j] = edgebci_truncate(own[1u + j] * m->inject[head], EDGEBCI_LARGEST_GAIN);
            own[1u + j] = 0.0f;
        }
        for (uint32_t i = 0; i < n; i++) {
            int32_t f[EDGEBCI_SLOTS];
            for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
                const int32_t b = (int32_t)((uint32_t)(int32_t)B[n * j + i] << 16);
                f[j] = edgebci_ssat14(edgebci_smmlar(b, gain[j], 0));
            }
            edgebci_store_pair(folded + EDGEBCI_SLOTS * i, edgebci_pair(f[0], f[1]));
            edgebci_store_pair(folded + EDGEBCI_SLOTS * i + 2u, edgebci_pair(f[2], f[3]));
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
    const int16_t *restrict silu = m->silu + 512;
    const uint32_t shift = m->gate_shift;
    const int32_t half = (int32_t)((1u << shift) >> 1);
    for (uint32_t i = 0; i < n; i += 2) {
        uint32_t gate = edgebci_load_pair(z + i);
        int32_t first = y[i], second = y[i + 1];
        EDGEBCI_LOADED_4(gate, first, second, silu);
        first = edgebci_smlawb(first, (uint32_t)edgebci_silu_fixed(silu, edgebci_low_half(gate)), half);
        second = edgebci_smlawb(second, (uint32_t)edgebci_silu_fixed(silu, edgebci_high_half(gate)), half);
        edgebci_store_pair(g + i, edgebci_pair(edgebci_ssat16(first >> shift), edgebci_ssat16(second >> shift)));
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
