/* C99 front end in fixed point; see the header for layouts, edgebci/features/fixed_device.py for the definition. */
#include "edgebci_front_end_fixed.h"

#include <stddef.h>

#include "edgebci_features.h"
#include "front_end_tables.h"

#define EDGEBCI_LN2 0x1.62e43p-1f

/* Of a frame's outputs, whose places and weights then are constants. */
#define EDGEBCI_UNROLL _Pragma("GCC unroll 32")

/* A word of two, loaded here. */
#define EDGEBCI_WORD(two) (*(const EDGEBCI_IN_ORDER uint32_t *)&(two).word)

/* Words of two weights that a pole pair has. */
#define EDGEBCI_TAP_WORDS(every) ((every) == 1u ? 1u : (every))

/* From the state of a channel in one pole pair to that in the next. */
#define STATES_APART (2u * (EDGEBCI_GOOD + 1u))

#if EDGEBCI_GOOD == EDGEBCI_CHANNELS
#define EDGEBCI_CHANNEL(g) (g)
#else
#define EDGEBCI_CHANNEL(g) (edgebci_good_channel[g])
#endif

static void clear(float *restrict v, uint32_t n, float value)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = value;
    }
}

/* Followers, filters, powers and normaliser as at power-on; the run of missing rows goes on. */
static void start_anew(edgebci_front_end_t *f)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        f->held[g] = f->followed[g] = f->offset[g] = 0;
        f->known[g] = 0;
    }
    for (uint32_t pair = 0; pair < EDGEBCI_PAIRS; pair++) {
        for (uint32_t g = 0; g <= EDGEBCI_GOOD; g++) {
            f->state[pair][g][0] = f->state[pair][g][1] = 0;
        }
    }
    clear(&f->end[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 0.0f);
    clear(&f->power[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, EDGEBCI_FLOOR_UV2);
    clear(&f->shift[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 0.0f);
    clear(&f->scale[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 1.0f);
    f->offsets = 0;
    f->reference = 0;
    f->n_known = 0;
    f->frames = 0;
    f->reset_due = 0;
}

void edgebci_front_end_init(edgebci_front_end_t *f)
{
    start_anew(f);
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        for (uint32_t i = 0; i < EDGEBCI_FRAME_WORDS; i++) {
            f->block[g][i].word = 0;
        }
    }
    for (uint32_t i = 0; i < EDGEBCI_SAMPLES_PER_FRAME; i++) {
        f->reference_step[i] = 0;
    }
    clear(f->value, EDGEBCI_GOOD, 0.0f);
    f->row = 0;
    f->missing_run = 0;
    f->flagged = 0;
}

#if defined(EDGEBCI_LOADABLE)
void edgebci_front_end_take_exported(edgebci_front_end_t *f)
{
    for (uint32_t kind = 0; kind < EDGEBCI_KINDS; kind++) {
        for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
            f->mean[kind][g] = edgebci_mean[kind][g];
            f->inverse_sd[kind][g] = edgebci_inverse_sd[kind][g];
        }
    }
}
#endif

/* The first good count of a channel is its offset. */
static EDGEBCI_KERNEL void learn_offsets(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const edgebci_count_t count = counts[EDGEBCI_CHANNEL(g)];
        if (!f->known[g] && !edgebci_is_saturated(count)) {
            f->known[g] = 1;
            f->n_known++;
            f->held[g] = f->followed[g] = f->offset[g] = count;
            f->offsets += count;
        }
    }
}

/* Move a follower to `count`, as far as 16 bits go; the filters get its step. */
static EDGEBCI_INLINE void follow(int16_t *followed, int16_t *block, int32_t count)
{
    const int32_t step = edgebci_saturate16(count - *followed);
    *followed = (int16_t)(*followed + step);
    *block = (int16_t)step;
}

#define BLOCK_APART (2u * EDGEBCI_FRAME_WORDS)

/* Samples of channels from g on, one by one; a saturated one keeps the last good value.
 * Returns the sum of the held counts. */
static EDGEBCI_KERNEL int32_t hold_some(edgebci_front_end_t *f, uint32_t g, uint32_t n,
                                        const edgebci_count_t *restrict counts)
{
    int16_t *block = &f->block[g][f->row / 2u].half[f->row % 2u];
    int32_t sum = 0;
    for (uint32_t end = g + n; g < end; g++, block += BLOCK_APART) {
        int32_t count = counts[EDGEBCI_CHANNEL(g)];
        if (edgebci_is_saturated(count)) {
            f->flagged++;
            count = f->held[g];
        }
        f->held[g] = (int16_t)count;
        sum += count;
        follow(&f->followed[g], block, count);
    }
    return sum;
}

#if EDGEBCI_HAS_PAIRS && EDGEBCI_GOOD == EDGEBCI_CHANNELS
/* Channels that are looked at together, two to a word. */
#define WORDS_TOGETHER 4u

/* Two neighbouring channels, of which neither is saturated. Returns sum and both counts. */
static EDGEBCI_INLINE int32_t hold_two(int16_t *held, int16_t *followed, int16_t *block, edgebci_two_t count,
                                       edgebci_two_t ones, int32_t sum)
{
    const edgebci_two_t before = edgebci_load_two(followed);
    sum = edgebci_dot2(sum, count, ones);
    const edgebci_two_t step = edgebci_saturating_difference(count, before);
    edgebci_store_two(held, count);
    edgebci_store_two(followed, edgebci_sum_of_two(before, step));
    block[0] = (int16_t)(uint16_t)step.word;
    block[BLOCK_APART] = (int16_t)(uint16_t)(step.word >> 16);
    return sum;
}

/* A row of counts. Returns the sum of the held ones. */
static EDGEBCI_KERNEL int32_t hold_counts(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    int16_t *held = f->held, *followed = f->followed, *block = &f->block[0][f->row / 2u].half[f->row % 2u];
    edgebci_range_t range = edgebci_range_of(EDGEBCI_LOWEST_COUNT, EDGEBCI_HIGHEST_COUNT);
    edgebci_two_t ones = edgebci_ones();
    const edgebci_count_t *next = counts;
    int32_t sum = 0;
    uint32_t g = 0;
    for (; g + 2u * WORDS_TOGETHER <= EDGEBCI_GOOD; g += 2u * WORDS_TOGETHER) {
        edgebci_two_t count[WORDS_TOGETHER];
        uint32_t outside = 0;
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < WORDS_TOGETHER; i++) {
            count[i] = edgebci_load_two(next + 2u * i);
        }
        EDGEBCI_UNROLL
        for (uint32_t i = 0; i < WORDS_TOGETHER; i++) {
            outside |= edgebci_beyond(count[i], range);
        }
        if (__builtin_expect(outside != 0u, 0)) {
            sum += hold_some(f, g, 2u * WORDS_TOGETHER, counts);
        } else {
            EDGEBCI_UNROLL
            for (uint32_t i = 0; i < WORDS_TOGETHER; i++) {
                int16_t *steps = block + 2u * i * BLOCK_APART;
                sum = hold_two(held + 2u * i, followed + 2u * i, steps, count[i], ones, sum);
            }
        }
        next += 2u * WORDS_TOGETHER;
        held += 2u * WORDS_TOGETHER;
        followed += 2u * WORDS_TOGETHER;
        block += 2u * WORDS_TOGETHER * BLOCK_APART;
        EDGEBCI_KEEP(next);
        EDGEBCI_KEEP(held);
        EDGEBCI_KEEP(followed);
        EDGEBCI_KEEP(block);
    }
    return g < EDGEBCI_GOOD ? sum + hold_some(f, g, EDGEBCI_GOOD - g, counts) : sum;
}
#else
static int32_t hold_counts(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    return hold_some(f, 0, EDGEBCI_GOOD, counts);
}
#endif

static EDGEBCI_KERNEL int32_t hold_missing(edgebci_front_end_t *f)
{
    int32_t sum = 0;
    f->flagged += EDGEBCI_GOOD;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        f->held[g] = EDGEBCI_HOLD ? f->held[g] : f->offset[g];
        sum += f->held[g];
        follow(&f->followed[g], &f->block[g][f->row / 2u].half[f->row % 2u], f->held[g]);
    }
    return sum;
}

#if EDGEBCI_REFERENCE_AVERAGE
/* The sum over good channels, from where they began: their number times the mean. */
static inline int32_t reference_of(const edgebci_front_end_t *f, int32_t sum)
{
    return sum - f->offsets;
}
#elif EDGEBCI_REFERENCE_MEDIAN
static inline uint32_t count_up_to(const edgebci_front_end_t *f, int32_t limit)
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        count += f->held[g] - f->offset[g] <= limit;
    }
    return count;
}

/* The two middle values, added. Bisection over the values: no memory, and the same time for every input. */
static EDGEBCI_KERNEL int32_t twice_median(const edgebci_front_end_t *f)
{
    int32_t below = -EDGEBCI_COUNT_SPAN - 1, middle = EDGEBCI_COUNT_SPAN;
    while (middle - below > 1) {
        const int32_t probe = below + (middle - below) / 2;
        if (count_up_to(f, probe) > (EDGEBCI_GOOD - 1) / 2) {
            middle = probe;
        } else {
            below = probe;
        }
    }
    if (count_up_to(f, middle) > EDGEBCI_GOOD / 2) {
        return 2 * middle;
    }
    int32_t next = EDGEBCI_COUNT_SPAN;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const int32_t value = f->held[g] - f->offset[g];
        next = value > middle && value < next ? value : next;
    }
    return middle + next;
}

static inline int32_t reference_of(const edgebci_front_end_t *f, int32_t sum)
{
    (void)sum;
    return twice_median(f);
}
#else
static inline int32_t reference_of(const edgebci_front_end_t *f, int32_t sum)
{
    (void)f;
    (void)sum;
    return 0;
}
#endif

/* The reference of this row, with 14 bits below a count; the filters get its steps. */
static inline void step_reference(edgebci_front_end_t *f, int32_t sum)
{
    const int64_t product = (int64_t)reference_of(f, sum) * EDGEBCI_REFERENCE_FACTOR;
    const int32_t reference = (int32_t)((product + 0x8000) >> 16);
    f->reference_step[f->row] = reference - f->reference;
    f->reference = reference;
}

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

/* Natural logarithms of n positive normal numbers, by a table and two terms. */
static EDGEBCI_INLINE void logarithms(float *restrict x, uint32_t n)
{
    float r[EDGEBCI_TOGETHER], start[EDGEBCI_TOGETHER], exponent[EDGEBCI_TOGETHER], square[EDGEBCI_TOGETHER];
    for (uint32_t j = 0; j < n; j++) {
        const uint32_t bits = edgebci_bits(x[j]), part = (bits >> (23 - EDGEBCI_LOG_BITS)) & ((1u << EDGEBCI_LOG_BITS) - 1u);
        const float mantissa = edgebci_from_bits((bits & 0x007FFFFFu) | 0x3F800000u);
        r[j] = mantissa * edgebci_log_table[part][0];
        start[j] = edgebci_log_table[part][1];
        exponent[j] = (float)((int32_t)(bits >> 23) - 127);
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = r[j] - 1.0f;
        exponent[j] = exponent[j] * EDGEBCI_LN2;
    }
    for (uint32_t j = 0; j < n; j++) {
        square[j] = r[j] * r[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        square[j] = square[j] * 0.5f;
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = r[j] - square[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = start[j] + r[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] = exponent[j] + r[j];
    }
}

/* Of n channels from g on: the exponential average of a band's power, which never falls under the floor, and its
 * logarithm. */
static EDGEBCI_INLINE void log_power_of_some(float *restrict value, float *restrict power, uint32_t g, uint32_t n)
{
    float p[EDGEBCI_TOGETHER];
    for (uint32_t j = 0; j < n; j++) {
        p[j] = value[g + j] + EDGEBCI_FLOOR_UV2;
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = p[j] - power[g + j];
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = EDGEBCI_POWER_RATE * p[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = power[g + j] + p[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        power[g + j] = p[j];
    }
    logarithms(p, n);
    for (uint32_t j = 0; j < n; j++) {
        value[g + j] = p[j];
    }
}

static EDGEBCI_KERNEL void log_power(float *restrict value, float *restrict power)
{
    uint32_t g = 0;
    for (; g + EDGEBCI_TOGETHER <= EDGEBCI_GOOD; g += EDGEBCI_TOGETHER) {
        log_power_of_some(value, power, g, EDGEBCI_TOGETHER);
    }
    for (; g < EDGEBCI_GOOD; g++) {
        log_power_of_some(value, power, g, 1u);
    }
}

static EDGEBCI_KERNEL void normalize(edgebci_front_end_t *f, uint32_t kind, uint32_t learn, float *restrict z)
{
    const edgebci_statistics_t statistics = {EDGEBCI_MEAN(f)[kind], EDGEBCI_INVERSE_SD(f)[kind], f->shift[kind],
                                             f->scale[kind]};
    if (learn) {
        edgebci_normalize(f->value, statistics, 1u, edgebci_good_channel, z + kind * EDGEBCI_CHANNELS);
    } else {
        edgebci_normalize(f->value, statistics, 0u, edgebci_good_channel, z + kind * EDGEBCI_CHANNELS);
    }
}

#define FINISH_BAND(kind)                                                                         \
    filter_band_##kind(f);                                                                        \
    log_power(f->value, f->power[kind]);                                                          \
    normalize(f, kind, learn, z);

/* The end of a frame: filters, powers, normalisation, z. Returns whether the frame is valid. */
static uint32_t finish_frame(edgebci_front_end_t *f, float *restrict z)
{
    f->frames += f->frames <= EDGEBCI_STARTUP_FRAMES;
    const uint32_t valid = f->frames > EDGEBCI_STARTUP_FRAMES && f->flagged <= EDGEBCI_FLAGGED_LIMIT;
    const uint32_t learn = valid && EDGEBCI_RUNNING;
    f->flagged = 0;
    f->row = 0;
    EDGEBCI_FOR_EACH_BAND(FINISH_BAND)
    return valid;
}

/* One row through the integer path into the frame's block. */
static void take_row(edgebci_front_end_t *f, const edgebci_count_t *counts)
{
    int32_t sum;
    if (counts == NULL) {
        sum = hold_missing(f);
        f->missing_run += f->missing_run < EDGEBCI_RESET_AFTER_SAMPLES;
    } else {
        if (f->n_known < EDGEBCI_GOOD) {
            learn_offsets(f, counts);
        }
        sum = hold_counts(f, counts);
        f->missing_run = 0;
    }
    if (f->missing_run == EDGEBCI_RESET_AFTER_SAMPLES) {
        f->reset_due = 1;
    }
    step_reference(f, sum);
    f->row++;
}

EDGEBCI_KERNEL uint32_t edgebci_front_end_push(edgebci_front_end_t *f, const edgebci_count_t *counts, float *restrict z)
{
    uint32_t events = 0;
    if (f->row == 0 && f->reset_due) {
        start_anew(f);
        events |= EDGEBCI_STARTED_ANEW;
    }
    take_row(f, counts);
    if (f->row == EDGEBCI_SAMPLES_PER_FRAME) {
        events |= finish_frame(f, z) ? EDGEBCI_FRAME_FINISHED | EDGEBCI_FRAME_VALID : EDGEBCI_FRAME_FINISHED;
    }
    return events;
}
