/* Rows of the front end in fixed point: counts are held and followed, and the reference is stepped. */
#ifndef EDGEBCI_FRONT_END_ROWS_H
#define EDGEBCI_FRONT_END_ROWS_H

#include <stdint.h>

#include "edgebci_front_end_fixed.h"
#include "front_end_tables.h"

#if EDGEBCI_GOOD == EDGEBCI_CHANNELS
#define EDGEBCI_CHANNEL(g) (g)
#else
#define EDGEBCI_CHANNEL(g) (edgebci_good_channel[g])
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

#endif
