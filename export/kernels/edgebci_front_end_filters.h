/* The filters of the front end in fixed point: a frame of every channel through the pole pairs of each band. */
#ifndef EDGEBCI_FRONT_END_FILTERS_H
#define EDGEBCI_FRONT_END_FILTERS_H

#include <stdint.h>

#include "edgebci_front_end_rows.h"

/* A word of two, loaded here. */
#define EDGEBCI_WORD(two) (*(const EDGEBCI_IN_ORDER uint32_t *)&(two).word)

/* Words of two weights that a pole pair has. */
#define EDGEBCI_TAP_WORDS(every) ((every) == 1u ? 1u : (every))

/* From the state of a channel in one pole pair to that in the next. */
#define STATES_APART (2u * (EDGEBCI_GOOD + 1u))

/* The next output of a pole pair, of which everything but `steps` and `q` is a constant where this is inlined.
 * IN(start, i) is start + F0 (i = 0) or F1 (i = 1). */
#define NEXT_OUTPUT(pair, q, v, IN)                                                               \
    if ((pair)->turned) {                                                                         \
        (v) = IN(2 * edgebci_high_sum(edgebci_high((pair)->a, (q)[0]), (pair)->b, (q)[1]), 0);     \
        (q)[1] = IN(2 * edgebci_high_sum(edgebci_high((pair)->c, (q)[0]), (pair)->a, (q)[1]), 1);  \
        (q)[0] = (v);                                                                             \
    } else {                                                                                      \
        (v) = IN((q)[0], 0);                                                                      \
        (q)[0] = IN(4 * edgebci_scaled_half((q)[1], (v), (pair)->ab, 0), 1);                      \
        (q)[1] = edgebci_scaled_second((v), (pair)->ab);                                          \
    }

/* start + what the reference's steps, weighted, are in the units of a filter's output. */
static EDGEBCI_INLINE int32_t weighted_reference(int32_t start, const int32_t *step, const edgebci_two_t *taps,
                                                 uint32_t every, uint32_t i)
{
    int64_t sum = 1 << (EDGEBCI_REFERENCE_BITS - 1);
    for (uint32_t j = 0; j < every; j++) {
        const uint32_t at = every == 1u ? i : i * every + j;
        sum += (int64_t)step[j] * taps[at / 2u].half[at % 2u];
    }
    return start + (int32_t)(sum >> EDGEBCI_REFERENCE_BITS);
}

/* The reference's frame through the filter of a band. */
static EDGEBCI_INLINE void filter_reference(edgebci_front_end_t *f, const edgebci_band_t *band, int32_t *restrict y)
{
    const uint32_t every = band->every;
    for (uint32_t k = 0; k < EDGEBCI_SAMPLES_PER_FRAME / every; k++) {
        const int32_t *step = f->reference_step + k * every;
        y[k] = 0;
        for (uint32_t i = 0; i < band->pairs; i++) {
            const edgebci_pair_t *pair = &edgebci_pole_pair[band->first_pair + i];
            const edgebci_two_t *taps = &edgebci_tap[pair->first_tap];
            int32_t *q = f->state[band->first_pair + i][EDGEBCI_GOOD], v;
#define IN(start, i) weighted_reference((start), step, taps, every, (i))
            NEXT_OUTPUT(pair, q, v, IN)
#undef IN
            y[k] += v;
        }
    }
}

static inline float float_of(edgebci_wide_t v)
{
    return (float)v.high * 4294967296.0f + (float)v.low;
}

/* What the newest outputs of a frame add to its sum of squares, and the last frame's took away. */
static EDGEBCI_INLINE float end_of(const edgebci_band_t *band, const float *newest)
{
    float part[EDGEBCI_ENDS], sum = 0.0f;
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < EDGEBCI_ENDS; i++) {
        part[i] = newest[i] * newest[i];
    }
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < EDGEBCI_ENDS; i++) {
        part[i] = band->ends[i] * part[i];
    }
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < EDGEBCI_ENDS; i++) {
        sum = i ? sum + part[i] : part[i];
    }
    return sum;
}

/* The numbers of a pole pair, in registers. c is b or -b. */
typedef struct {
    edgebci_two_t taps[EDGEBCI_MOST_TAPS];
    edgebci_two_t ab;
    int32_t a, b;
    uint32_t turned, opposite;
} numbers_t;

static EDGEBCI_INLINE numbers_t numbers_of(const edgebci_band_t *band, uint32_t i)
{
    const edgebci_pair_t *constant = &edgebci_pole_pair[band->first_pair + i], *pair = constant;
    const edgebci_two_t *taps = &edgebci_tap[constant->first_tap];
    numbers_t n;
    EDGEBCI_KEEP(pair);
    EDGEBCI_KEEP(taps);
    EDGEBCI_UNROLL
    for (uint32_t j = 0; j < EDGEBCI_TAP_WORDS(band->every); j++) {
        n.taps[j].word = EDGEBCI_WORD(taps[j]);
    }
    n.turned = constant->turned;
    n.opposite = constant->c != constant->b;
    if (constant->turned) {
        n.a = *(const EDGEBCI_IN_ORDER int32_t *)&pair->a;
        n.b = *(const EDGEBCI_IN_ORDER int32_t *)&pair->b;
    } else {
        n.ab.word = EDGEBCI_WORD(pair->ab);
    }
    return n;
}

/* start + the weighted sum of steps; `every` weights from taps[first] on. */
static EDGEBCI_INLINE int32_t weighted(int32_t start, const edgebci_two_t *steps, const edgebci_two_t *taps,
                                       uint32_t words)
{
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < words; i++) {
        start = edgebci_dot2(start, steps[i], taps[i]);
    }
    return start;
}

/* The next output of a pole pair that is seen every few samples, of which these are the `words` newest. */
static EDGEBCI_INLINE int32_t next_output(const numbers_t *n, const edgebci_two_t *steps, uint32_t words,
                                          const int32_t *q)
{
    const int32_t start = n->turned ? 2 * edgebci_high_sum(edgebci_high(n->a, q[0]), n->b, q[1]) : q[0];
    return weighted(start, steps, n->taps, words);
}

/* The state of a turned pair after an output, but for F1. */
static EDGEBCI_INLINE int32_t turned_rest(const numbers_t *n, const int32_t *q)
{
    const int32_t w = edgebci_high(n->a, q[1]);
    return 2 * (n->opposite ? edgebci_high_difference(w, n->b, q[0]) : edgebci_high_sum(w, n->b, q[0]));
}

/* The state after output v. */
static EDGEBCI_INLINE void next_state(const numbers_t *n, const edgebci_two_t *steps, uint32_t words, int32_t v,
                                      int32_t *q)
{
    const edgebci_two_t *second = n->taps + words;
    if (n->turned) {
        q[1] = weighted(turned_rest(n, q), steps, second, words);
        q[0] = v;
    } else {
        q[0] = weighted(4 * edgebci_scaled_half(q[1], v, n->ab, 0), steps, second, words);
        q[1] = edgebci_scaled_second(v, n->ab);
    }
}

/* One channel's frame through one pole pair of such a band: y + its outputs, which the last pair does not keep; at the
 * last pair the sum of the squares, and the newest outputs, newest first. */
static EDGEBCI_INLINE edgebci_wide_t filter_pair(const edgebci_band_t *band, uint32_t i, const edgebci_two_t *block,
                                                 const EDGEBCI_IN_ORDER int32_t *reference,
                                                 EDGEBCI_IN_ORDER int32_t *state, EDGEBCI_IN_ORDER int32_t *y,
                                                 float *newest)
{
    const uint32_t words = band->every / 2u, outputs = EDGEBCI_SAMPLES_PER_FRAME / band->every;
    const numbers_t n = numbers_of(band, i);
    int32_t q[2];
    edgebci_wide_t sum;
    sum.low = sum.high = 0;
    q[0] = state[0];
    q[1] = state[1];
    EDGEBCI_UNROLL
    for (uint32_t k = 0; k < outputs; k++) {
        edgebci_two_t steps[EDGEBCI_MOST_TAPS];
        EDGEBCI_UNROLL
        for (uint32_t j = 0; j < words; j++) {
            steps[j].word = EDGEBCI_WORD(block[k * words + j]);
        }
        /* Turned pairs have no register left for what they add to. */
        const int32_t early = n.turned ? 0 : i ? y[k] : -reference[k];
        const int32_t v = next_output(&n, steps, words, q);
        next_state(&n, steps, words, v, q);
        const int32_t now = v + (n.turned ? i ? y[k] : -reference[k] : early);
        if (i + 1u < band->pairs) {
            y[k] = now;
        } else {
            edgebci_add_square(&sum, now);
            if (k + EDGEBCI_ENDS >= outputs) {
                newest[outputs - 1u - k] = (float)now;
                EDGEBCI_KEEP_FLOAT(newest[outputs - 1u - k]);
            }
        }
    }
    state[0] = q[0];
    state[1] = q[1];
    return sum;
}

/* What output k of a pair that is seen at every sample adds to the last one's rest; `now` are two samples, `across` the
 * first of them and the one before.
 * Direct: F0 and, of the sample before, F1 are one product of two samples and two weights; q[0] lacks the F1 of the
 * newest sample, which the end of the frame adds. */
static EDGEBCI_INLINE int32_t sample_output(const numbers_t *n, uint32_t k, edgebci_two_t now, edgebci_two_t across,
                                            const int32_t *q)
{
    if (n->turned) {
        const int32_t v = 2 * edgebci_high_sum(edgebci_high(n->a, q[0]), n->b, q[1]);
        return edgebci_product(v, now, k % 2u, n->taps[0], 0);
    }
    if (k == 0) {
        return edgebci_product(q[0], now, 0, n->taps[0], 0);
    }
    return k % 2u ? edgebci_crossed_dot2(q[0], now, n->taps[0]) : edgebci_dot2(q[0], across, n->taps[0]);
}

/* The state after output v. */
static EDGEBCI_INLINE void turn_state(const numbers_t *n, uint32_t k, edgebci_two_t now, int32_t v, int32_t *q)
{
    if (n->turned) {
        q[1] = edgebci_product(turned_rest(n, q), now, k % 2u, n->taps[0], 1);
        q[0] = v;
    } else {
        q[0] = 4 * edgebci_scaled_half(q[1], v, n->ab, 0);
        q[1] = edgebci_scaled_second(v, n->ab);
    }
}

/* One channel's frame through all pairs, side by side, of a band that is seen at every sample. */
static EDGEBCI_INLINE edgebci_wide_t filter_samples(const edgebci_band_t *band, const numbers_t *n,
                                                    const edgebci_two_t *block,
                                                    const EDGEBCI_IN_ORDER int32_t *reference,
                                                    EDGEBCI_IN_ORDER int32_t *state)
{
    edgebci_wide_t sum;
    edgebci_two_t now, across;
    int32_t q[EDGEBCI_MOST_PAIRS][2], v[EDGEBCI_MOST_PAIRS];
    sum.low = sum.high = now.word = across.word = 0;
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < band->pairs; i++) {
        q[i][0] = state[i * STATES_APART];
        q[i][1] = state[i * STATES_APART + 1u];
    }
    EDGEBCI_UNROLL
    for (uint32_t k = 0; k < EDGEBCI_SAMPLES_PER_FRAME; k++) {
        if (k % 2u == 0) {
            const edgebci_two_t before = now;
            now.word = EDGEBCI_WORD(block[k / 2u]);
            across = edgebci_first_and_second(now, before);
        }
        int32_t y = 0;
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < band->pairs; i++) {
            v[i] = sample_output(&n[i], k, now, across, q[i]);
            if (i == 0) {
                y = -reference[k];
            }
        }
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < band->pairs; i++) {
            y += v[i];
        }
        edgebci_add_square(&sum, y);
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < band->pairs; i++) {
            turn_state(&n[i], k, now, v[i], q[i]);
        }
    }
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < band->pairs; i++) {
        const uint32_t last = (EDGEBCI_SAMPLES_PER_FRAME - 1u) % 2u;
        state[i * STATES_APART] = n[i].turned ? q[i][0] : edgebci_product(q[i][0], now, last, n[i].taps[0], 1);
        state[i * STATES_APART + 1u] = q[i][1];
    }
    return sum;
}

/* From a frame's sum of squares to the mean square in microvolt squared. */
static EDGEBCI_INLINE float mean_square(const edgebci_band_t *band, edgebci_wide_t sum, const float *newest,
                                       float *before)
{
    float square = float_of(sum) * band->sum_scale;
    if (band->every > 1u) {
        const float end = end_of(band, newest);
        square = square + (end - *before);
        *before = end;
    }
    return square >= EDGEBCI_TINY ? square : 0.0f;
}

static EDGEBCI_INLINE void filter_band(edgebci_front_end_t *f, uint32_t kind)
{
    const edgebci_band_t *band = &edgebci_band[kind];
    int32_t reference[EDGEBCI_SAMPLES_PER_FRAME], y[EDGEBCI_SAMPLES_PER_FRAME];
    float newest[EDGEBCI_ENDS];
    numbers_t n[EDGEBCI_MOST_PAIRS];
    filter_reference(f, band, reference);
    if (band->every == 1u) {
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < band->pairs; i++) {
            n[i] = numbers_of(band, i);
        }
    }
    const edgebci_two_t *steps = f->block[0];
    int32_t *state = f->state[band->first_pair][0];
    float *end = f->end[kind], *value = f->value;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++, steps += EDGEBCI_FRAME_WORDS, state += 2, end++, value++) {
        edgebci_wide_t sum;
        if (band->every == 1u) {
            sum = filter_samples(band, n, steps, reference, state);
        } else {
            EDGEBCI_UNROLL
            for (uint32_t i = 0; i < band->pairs; i++) {
                sum = filter_pair(band, i, steps, reference, state + i * STATES_APART, y, newest);
            }
        }
        *value = mean_square(band, sum, newest, end);
    }
}

/* One function for each band, its numbers known to the compiler. */
#define DEFINE_FILTER(kind)                                                                       \
    static EDGEBCI_KERNEL void filter_band_##kind(edgebci_front_end_t *f)                         \
    {                                                                                             \
        filter_band(f, kind);                                                                     \
    }
EDGEBCI_FOR_EACH_BAND(DEFINE_FILTER)

#endif
