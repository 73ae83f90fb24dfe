/* edgebci.Mamba2StepFixed: one step of one stream in int16, with a state that is rewritten at every fourth step only.
 *
 * What is computed, and why that may be done, is in edgebci/operators/mamba2_fixed.py.
 * EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps) defines the kernel for one shape,
 * `void name(m, p, conv, ssm, x, B, kept, phase, g)`, and its parts as functions of their own.
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
#ifndef EDGEBCI_MAMBA2_FIXED_H
#define EDGEBCI_MAMBA2_FIXED_H

#include <stdint.h>

#include "edgebci_norm_fixed.h"

#define EDGEBCI_SLOTS 4u
/* Loads that stand together are worth assembly where instructions go one at a time; on a Cortex-M7 the compiler does
 * better. */
#if EDGEBCI_HAS_DSP && !(defined(__ARM_FPV5__) && __ARM_ARCH == 7)
#define EDGEBCI_LOADS_TOGETHER 1
#else
#define EDGEBCI_LOADS_TOGETHER 0
#endif
#define EDGEBCI_GATE_UNIT 0x1.0p-11f
#define EDGEBCI_WIDEST_RING 682u /* channels: the last of four slots lies within the offset of a load */
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
    float skip[EDGEBCI_SLOTS];
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        skip[j] = 0.0f;
    }
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

/* The same for four rows of 16, sums over the state and all; w holds W in two pairs, and the gain. One piece: nothing is
 * cleared, no pointer moves, no sum goes through memory. 111 cycles on a Cortex-M4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_short_rows(const int16_t *h, const int16_t *C, const int16_t *x,
                                                           const uint32_t *w, int32_t *y)
{
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_BEGINS(s, h) "smuad %[" s "], %[" h "], %[v]\n\t"
#define EDGEBCI_GOES_ON(s, h) "smlad %[" s "], %[" h "], %[v], %[" s "]\n\t"
#define EDGEBCI_PAIR_OF_FOUR(at, op)                                                                                  \
    "ldr %[v], [%[c], #" #at "]\n\tldr %[h0], [%[h], #" #at "]\n\tldr %[h1], [%[h], #" #at "+32]\n\t"                 \
    "ldr %[h2], [%[h], #" #at "+64]\n\tldr %[h3], [%[h], #" #at "+96]\n\t" op("s0", "h0") op("s1", "h1")               \
        op("s2", "h2") op("s3", "h3")
#define EDGEBCI_RING(s) "smuad %[h2], %[v], %[h2]\n\tsmlad %[h2], %[h0], %[h3], %[h2]\n\t"                            \
    "smmlar %[" s "], %[" s "], %[h1], %[h2]\n\t"
#define EDGEBCI_LOAD_RING(at) "ldr %[h2], [%[x], #" #at "]\n\tldr %[h3], [%[x], #" #at "+4]\n\t"
    uint32_t h0, h1, h2, h3, v;
    int32_t s0, s1, s2, s3;
    __asm__ volatile(
        EDGEBCI_PAIR_OF_FOUR(0, EDGEBCI_BEGINS) EDGEBCI_PAIR_OF_FOUR(4, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(8, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(12, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(16, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(20, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(24, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(28, EDGEBCI_GOES_ON)
        "ldr %[v], [%[w]]\n\tldr %[h0], [%[w], #4]\n\tldr %[h1], [%[w], #8]\n\t" EDGEBCI_LOAD_RING(0) EDGEBCI_RING("s0")
        EDGEBCI_LOAD_RING(8) EDGEBCI_RING("s1") EDGEBCI_LOAD_RING(16) EDGEBCI_RING("s2")
        EDGEBCI_LOAD_RING(24) EDGEBCI_RING("s3")
        "str %[s0], [%[y]]\n\tstr %[s1], [%[y], #4]\n\tstr %[s2], [%[y], #8]\n\tstr %[s3], [%[y], #12]"
        : [h0] "=&r"(h0), [h1] "=&r"(h1), [h2] "=&r"(h2), [h3] "=&r"(h3), [v] "=&r"(v), [s0] "=&r"(s0), [s1] "=&r"(s1),
          [s2] "=&r"(s2), [s3] "=&r"(s3)
        : [h] "r"(h), [c] "r"(C), [x] "r"(x), [w] "r"(w), [y] "r"(y)
        : "memory");
#else
    int32_t sums[4];
    edgebci_mamba2_fixed_rows(h, C, 16, sums);
    edgebci_mamba2_fixed_outputs(x, w, (int32_t)w[2], sums, y);
    edgebci_mamba2_fixed_outputs(x + 2u * EDGEBCI_SLOTS, w, (int32_t)w[2], sums + 2, y + 2);
#endif
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
        uint32_t W[3];
        edgebci_mamba2_fixed_weights(m, head, slot, kept, products, W);
        const int32_t gain = edgebci_truncate(kept[0] * m->state_gain[head], EDGEBCI_LARGEST_GAIN);
        W[2] = (uint32_t)gain;
        for (uint32_t i = 0; i < headdim; i += 4, ssm += 4u * n, x += 4u * EDGEBCI_SLOTS, y += 4) {
            if (n == 16) {
                edgebci_mamba2_fixed_short_rows(ssm, C, x, W, y);
                continue;
            }
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

/* Two rows of 16 that share the loads of w_j B_j: 28 cycles for four elements on a Cortex-M4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_two_rows(int32_t scale, const int16_t *x, const int16_t *folded, int16_t *h)
{
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_REWRITE_FOUR(at, f)                                                                                   \
    "ldr %[a], [%[h], #" #at "]\n\tldr %[b], [%[h], #" #at "+32]\n\tldr %[f01], [%[f], #" #f "]\n\t"                 \
    "ldr %[f23], [%[f], #" #f "+4]\n\tsmlawb %[p], %[s], %[a], %[half]\n\tsmlawb %[q], %[s], %[b], %[half]\n\t"      \
    "smlad %[p], %[a01], %[f01], %[p]\n\tsmlad %[q], %[b01], %[f01], %[q]\n\t"                                       \
    "smlad %[p], %[a23], %[f23], %[p]\n\tsmlad %[q], %[b23], %[f23], %[q]\n\t"                                       \
    "ldr %[f01], [%[f], #" #f "+8]\n\tldr %[f23], [%[f], #" #f "+12]\n\t"                                            \
    "smlawt %[a], %[s], %[a], %[half]\n\tsmlawt %[b], %[s], %[b], %[half]\n\t"                                       \
    "smlad %[a], %[a01], %[f01], %[a]\n\tsmlad %[b], %[b01], %[f01], %[b]\n\t"                                       \
    "smlad %[a], %[a23], %[f23], %[a]\n\tsmlad %[b], %[b23], %[f23], %[b]\n\t"                                       \
    "ssat %[p], #16, %[p], asr #12\n\tssat %[a], #16, %[a], asr #12\n\tssat %[q], #16, %[q], asr #12\n\t"            \
    "ssat %[b], #16, %[b], asr #12\n\tpkhbt %[a], %[p], %[a], lsl #16\n\tpkhbt %[b], %[q], %[b], lsl #16\n\t"        \
    "str %[a], [%[h], #" #at "]\n\tstr %[b], [%[h], #" #at "+32]\n\t"
    const uint32_t a01 = edgebci_load_pair(x), a23 = edgebci_load_pair(x + 2);
    const uint32_t b01 = edgebci_load_pair(x + 4), b23 = edgebci_load_pair(x + 6);
    uint32_t a, b, p, q, f01, f23;
    __asm__ volatile(EDGEBCI_REWRITE_FOUR(0, 0) EDGEBCI_REWRITE_FOUR(4, 16) EDGEBCI_REWRITE_FOUR(8, 32)
                         EDGEBCI_REWRITE_FOUR(12, 48) EDGEBCI_REWRITE_FOUR(16, 64) EDGEBCI_REWRITE_FOUR(20, 80)
                             EDGEBCI_REWRITE_FOUR(24, 96) EDGEBCI_REWRITE_FOUR(28, 112)
                     : [a] "=&r"(a), [b] "=&r"(b), [p] "=&r"(p), [q] "=&r"(q), [f01] "=&r"(f01), [f23] "=&r"(f23)
                     : [h] "r"(h), [f] "r"(folded), [s] "r"(scale), [half] "r"(2048), [a01] "r"(a01), [a23] "r"(a23),
                       [b01] "r"(b01), [b23] "r"(b23)
                     : "memory");
#else
    edgebci_mamba2_fixed_row(16, scale, edgebci_load_pair(x), edgebci_load_pair(x + 2), folded, h);
    edgebci_mamba2_fixed_row(16, scale, edgebci_load_pair(x + 4), edgebci_load_pair(x + 6), folded, h + 16);
#endif
}

/* One head: every row of its state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const int16_t *folded, int16_t *h)
{
    if (n == 16) {
        for (uint32_t i = 0; i < headdim; i += 2, x += 2u * EDGEBCI_SLOTS, h += 2u * n) {
            edgebci_mamba2_fixed_two_rows(scale, x, folded, h);
        }
        return;
    }
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
        for (uint32_t i = 0; i < n; i += 2) {
            int32_t f[EDGEBCI_SLOTS], next[EDGEBCI_SLOTS];
            for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
                const uint32_t pair = edgebci_load_pair(B + n * j + i);
                f[j] = edgebci_ssat14(edgebci_smmlar((int32_t)(pair << 16), gain[j], 0));
                next[j] = edgebci_ssat14(edgebci_smmlar((int32_t)(pair & 0xFFFF0000u), gain[j], 0));
            }
            int16_t *const at = folded + EDGEBCI_SLOTS * i;
            edgebci_store_pair(at, edgebci_pair(f[0], f[1]));
            edgebci_store_pair(at + 2, edgebci_pair(f[2], f[3]));
            edgebci_store_pair(at + 4, edgebci_pair(next[0], next[1]));
            edgebci_store_pair(at + 6, edgebci_pair(next[2], next[3]));
        }
        const int32_t scale = edgebci_truncate(own[0] * 0x1.0p28f, 0x1.0p28f);
        own[0] = 1.0f;
        const uint32_t row = headdim * head;
        edgebci_mamba2_fixed_inject(headdim, n, scale, x + EDGEBCI_SLOTS * row, folded, ssm + n * row);
    }
}

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

#define EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps)                                           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_mamba2_fixed_t *m, uint32_t phase, const int16_t *xbc,\
                                                  int16_t *conv, int16_t *x, int16_t *B, int16_t *C)                  \
    {                                                                                                                 \
        const uint32_t inner = heads * headdim, n = state_size, all = inner + 2u * n, slot = phase % EDGEBCI_SLOTS;   \
        edgebci_mamba2_fixed_channels(m, phase, 0, inner, all, taps, xbc, conv, x + slot, EDGEBCI_SLOTS);             \
        edgebci_mamba2_fixed_channels(m, phase, inner, n, all, taps, xbc, conv, B + slot * n, 1);                     \
        edgebci_mamba2_fixed_channels(m, phase, inner + n, n, all, taps, xbc, conv, C, 1);                            \
        edgebci_mamba2_fixed_limit(n, m->c_shift, C);                                                                 \
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
        const uint32_t inner = heads * headdim, step = (uint32_t)phase[0], slot = step % EDGEBCI_SLOTS;               \
        int16_t C[state_size] EDGEBCI_ALIGNED;                                                                        \
        int32_t y[heads * headdim];                                                                                   \
        name##_convolution(m, step, p + inner, conv, x, B, C);                                                        \
        name##_age(m, slot, p + 2u * inner + 2u * state_size, kept);                                                  \
        name##_read(m, slot, ssm, x, B, C, kept, y);                                                                  \
        name##_rewrite(m, slot, ssm, x, B, kept);                                                                     \
        name##_gate(m, p, y, g);                                                                                      \
        phase[0] = (int32_t)((step + 1u) % taps);                                                                     \
    }

#endif
