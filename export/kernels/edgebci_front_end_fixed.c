/* C99 front end in fixed point; see the header for layouts, edgebci/features/fixed_device.py for the definition. */
#include "edgebci_front_end_fixed.h"

#include <stddef.h>

#include "edgebci_features.h"
#include "front_end_tables.h"

#define EDGEBCI_LN2 0x1.62e43p-1f

/* Of a frame's outputs, whose places and weights then are constants. */
#define EDGEBCI_UNROLL _Pragma("GCC unroll 32")

/* Words of two weights that a pole pair has. */
#define EDGEBCI_TAP_WORDS(every) ((every) == 1u ? 1u : (every))

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
/* Two neighbouring channels, of which neither is saturated. Returns sum and their counts, added. */
static EDGEBCI_INLINE int32_t hold_two(int16_t *held, int16_t *followed, int16_t *block, edgebci_two_t count, int32_t sum)
{
    const edgebci_two_t before = edgebci_load_two(followed), step = edgebci_saturating_difference(count, before);
    edgebci_store_two(held, count);
    edgebci_store_two(followed, edgebci_sum_of_two(before, step));
    block[0] = (int16_t)(uint16_t)step.word;
    block[BLOCK_APART] = (int16_t)(uint16_t)(step.word >> 16);
    return edgebci_add_both(sum, count);
}

/* A row of counts. Returns the sum of the held ones. */
static EDGEBCI_KERNEL int32_t hold_counts(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    int16_t *held = f->held, *followed = f->followed, *block = &f->block[0][f->row / 2u].half[f->row % 2u];
    int32_t sum = 0;
    uint32_t g = 0;
    for (; g + 4u <= EDGEBCI_GOOD; g += 4u, held += 4, followed += 4, block += 4u * BLOCK_APART) {
        const edgebci_two_t first = edgebci_load_two(counts + g), second = edgebci_load_two(counts + g + 2u);
        const uint32_t outside = edgebci_any_outside(first, EDGEBCI_LOWEST_COUNT, EDGEBCI_HIGHEST_COUNT) |
                                 edgebci_any_outside(second, EDGEBCI_LOWEST_COUNT, EDGEBCI_HIGHEST_COUNT);
        if (__builtin_expect(outside != 0u, 0)) {
            sum += hold_some(f, g, 4u, counts);
        } else {
            sum = hold_two(held, followed, block, first, sum);
            sum = hold_two(held + 2, followed + 2, block + 2u * BLOCK_APART, second, sum);
        }
    }
    return sum + hold_some(f, g, EDGEBCI_GOOD - g, counts);
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

/* start + the weighted sum of `every` steps; `taps` has a word for two of them, or both weights of the only one. */
static EDGEBCI_INLINE int32_t weighted(int32_t start, const edgebci_two_t *steps, const edgebci_two_t *taps,
                                       uint32_t every)
{
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < every / 2u; i++) {
        start = edgebci_dot2(start, steps[i], taps[i]);
    }
    return start;
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
        (q)[0] = IN(4 * edgebci_scaled_half((q)[1], (v), (pair)->ab, 0), 1);                            \
        (q)[1] = edgebci_scaled_second((v), (pair)->ab);                                       \
    }

/* Output k of one channel through one pole pair. */
static EDGEBCI_INLINE int32_t channel_output(const edgebci_pair_t *pair, const edgebci_two_t *taps, uint32_t every,
                                             uint32_t k, const edgebci_two_t *steps, int32_t *restrict q)
{
    int32_t v;
    if (every == 1u) {
#define IN(start, i) edgebci_product((start), steps[k / 2u], k % 2u, taps[0], (i))
        NEXT_OUTPUT(pair, q, v, IN)
#undef IN
    } else {
        steps += k * (every / 2u);
#define IN(start, i) weighted((start), steps, taps + (i) * (every / 2u), every)
        NEXT_OUTPUT(pair, q, v, IN)
#undef IN
    }
    return v;
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

/* 64 bits, word by word. */
static inline float float_of(uint64_t v)
{
    return (float)(uint32_t)(v >> 32) * 4294967296.0f + (float)(uint32_t)v;
}

/* What the newest outputs of a frame add to its sum of squares, and the last frame's took away. */
static EDGEBCI_INLINE float end_of(const edgebci_band_t *band, const int32_t *newest)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < EDGEBCI_ENDS; i++) {
        const float y = (float)newest[-(int32_t)i];
        const float part = band->ends[i] * (y * y);
        sum = i ? sum + part : part;
    }
    return sum;
}

/* The numbers of a band, in registers or on the stack. */
typedef struct {
    edgebci_pair_t pair[EDGEBCI_MOST_PAIRS];
    edgebci_two_t taps[EDGEBCI_MOST_PAIRS][EDGEBCI_MOST_TAPS];
} numbers_t;

static EDGEBCI_INLINE void keep_numbers(const edgebci_band_t *band, numbers_t *n)
{
    EDGEBCI_UNROLL
    for (uint32_t i = 0; i < band->pairs; i++) {
        n->pair[i] = edgebci_pole_pair[band->first_pair + i];
        EDGEBCI_UNROLL
        for (uint32_t j = 0; j < EDGEBCI_TAP_WORDS(band->every); j++) {
            n->taps[i][j] = edgebci_tap[n->pair[i].first_tap + j];
            EDGEBCI_KEEP(n->taps[i][j].word);
        }
        if (n->pair[i].turned) {
            EDGEBCI_KEEP(n->pair[i].a);
            EDGEBCI_KEEP(n->pair[i].b);
            EDGEBCI_KEEP(n->pair[i].c);
        } else {
            EDGEBCI_KEEP(n->pair[i].ab.word);
        }
    }
}

/* The frame of one channel through the pole pairs of a band, side by side where their numbers have room in registers;
 * y has the last outputs. Returns the sum of the squares. */
static EDGEBCI_INLINE uint64_t filter_channel(edgebci_front_end_t *f, const edgebci_band_t *band, const numbers_t *n,
                                              uint32_t g, const int32_t *restrict reference, int32_t *restrict y)
{
    const uint32_t together = band->every == 1u ? band->pairs : 1u, outputs = EDGEBCI_SAMPLES_PER_FRAME / band->every;
    uint64_t sum = 0;
    EDGEBCI_UNROLL
    for (uint32_t start = 0; start < band->pairs; start += together) {
        int32_t q[EDGEBCI_MOST_PAIRS][2];
        EDGEBCI_UNROLL
        for (uint32_t i = start; i < start + together; i++) {
            q[i][0] = f->state[band->first_pair + i][g][0];
            q[i][1] = f->state[band->first_pair + i][g][1];
        }
        EDGEBCI_UNROLL
        for (uint32_t k = 0; k < outputs; k++) {
            int32_t v = start ? y[k] : -reference[k];
            EDGEBCI_UNROLL
            for (uint32_t i = start; i < start + together; i++) {
                v += channel_output(&n->pair[i], n->taps[i], band->every, k, f->block[g], q[i]);
            }
            y[k] = v;
            if (start + together == band->pairs) {
                sum += (uint64_t)((int64_t)v * v);
            }
        }
        EDGEBCI_UNROLL
        for (uint32_t i = start; i < start + together; i++) {
            f->state[band->first_pair + i][g][0] = q[i][0];
            f->state[band->first_pair + i][g][1] = q[i][1];
        }
    }
    return sum;
}

/* From a frame's sum of squares to the mean square in microvolt squared. */
static EDGEBCI_INLINE float mean_square(const edgebci_band_t *band, uint64_t sum, const int32_t *y, float *before)
{
    float square = float_of(sum) * band->sum_scale;
    if (band->every > 1u) {
        const float end = end_of(band, y + EDGEBCI_SAMPLES_PER_FRAME / band->every - 1u);
        square = square + (end - *before);
        *before = end;
    }
    return square >= EDGEBCI_TINY ? square : 0.0f;
}

static EDGEBCI_INLINE void filter_band(edgebci_front_end_t *f, uint32_t kind)
{
    const edgebci_band_t *band = &edgebci_band[kind];
    int32_t reference[EDGEBCI_SAMPLES_PER_FRAME], y[EDGEBCI_SAMPLES_PER_FRAME];
    numbers_t numbers;
    filter_reference(f, band, reference);
    keep_numbers(band, &numbers);
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const uint64_t sum = filter_channel(f, band, &numbers, g, reference, y);
        f->value[g] = mean_square(band, sum, y, &f->end[kind][g]);
    }
}

/* One function for each band, its numbers known to the compiler. */
#define DEFINE_FILTER(kind)                                                                       \
    static EDGEBCI_KERNEL void filter_band_##kind(edgebci_front_end_t *f)                         \
    {                                                                                             \
        filter_band(f, kind);                                                                     \
    }
EDGEBCI_FOR_EACH_BAND(DEFINE_FILTER)

/* Natural logarithm of a positive normal number, by a table and two terms. */
static inline float logarithm(float x)
{
    const uint32_t bits = edgebci_bits(x), part = (bits >> (23 - EDGEBCI_LOG_BITS)) & ((1u << EDGEBCI_LOG_BITS) - 1u);
    const float mantissa = edgebci_from_bits((bits & 0x007FFFFFu) | 0x3F800000u);
    const float r = mantissa * edgebci_log_table[part][0] - 1.0f;
    const float series = r - (r * r) * 0.5f;
    return (float)((int32_t)(bits >> 23) - 127) * EDGEBCI_LN2 + (edgebci_log_table[part][1] + series);
}

/* Exponential average of a band's power, which never falls under the floor, and its logarithm. */
static EDGEBCI_KERNEL void log_power(float *restrict value, float *restrict power)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        power[g] = power[g] + EDGEBCI_POWER_RATE * ((value[g] + EDGEBCI_FLOOR_UV2) - power[g]);
        value[g] = logarithm(power[g]);
    }
}

static EDGEBCI_KERNEL void normalize(edgebci_front_end_t *f, uint32_t kind, uint32_t learn, float *restrict z)
{
    const edgebci_statistics_t statistics = {EDGEBCI_MEAN(f)[kind], EDGEBCI_INVERSE_SD(f)[kind], f->shift[kind],
                                             f->scale[kind]};
    edgebci_normalize(f->value, statistics, learn, edgebci_good_channel, z + kind * EDGEBCI_CHANNELS);
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
