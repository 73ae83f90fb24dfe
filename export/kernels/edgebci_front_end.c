/* Portable C99 front end; see the header for layouts, edgebci/features/ for the definition that this follows. */
#include "edgebci_front_end.h"

#include <stddef.h>

#include "edgebci_features.h"
#include "edgebci_front_end_sections.h"
#include "edgebci_math.h"
#include "front_end_tables.h"

static void clear(float *restrict v, uint32_t n, float value)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = value;
    }
}

/* Filters, powers, offsets and normaliser as at power-on; the run of missing rows goes on. */
static void start_anew(edgebci_front_end_t *f)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        f->held[g] = 0;
        f->offset[g] = 0;
        f->known[g] = 0;
    }
    clear(&f->s1[0][0], EDGEBCI_SECTIONS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->s2[0][0], EDGEBCI_SECTIONS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->carry[0][0], EDGEBCI_CARRY_ROWS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->value[0][0], EDGEBCI_KINDS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->power[0][0], EDGEBCI_KINDS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->shift[0][0], EDGEBCI_KINDS * EDGEBCI_COLUMNS, 0.0f);
    clear(&f->scale[0][0], EDGEBCI_KINDS * EDGEBCI_COLUMNS, 1.0f);
    f->n_known = 0;
    f->frames = 0;
    f->reset_due = 0;
}

void edgebci_front_end_init(edgebci_front_end_t *f)
{
    start_anew(f);
    clear(&f->block[0][0], EDGEBCI_BLOCK * EDGEBCI_COLUMNS, 0.0f);
    f->row = 0;
    f->waiting = 0;
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
        const int32_t count = counts[edgebci_good_channel[g]];
        if (!f->known[g] && !edgebci_is_saturated(count)) {
            f->known[g] = 1;
            f->n_known++;
            f->offset[g] = count;
        }
    }
}

/* Update `held` from a row of counts; a saturated sample keeps the last good value. */
static EDGEBCI_KERNEL void hold_counts(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    uint32_t flagged = 0;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const int32_t count = counts[edgebci_good_channel[g]];
        if (edgebci_is_saturated(count)) {
            flagged++;
        } else {
            f->held[g] = count - f->offset[g];
        }
    }
    f->flagged += flagged;
}

static void hold_missing(edgebci_front_end_t *f)
{
    f->flagged += EDGEBCI_GOOD;
#if !EDGEBCI_HOLD
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        f->held[g] = 0;
    }
#endif
}

#if EDGEBCI_REFERENCE_AVERAGE
/* Sum over good channels; the generator made sure that it fits. */
static inline int32_t reference_of(const int32_t *restrict held)
{
    int32_t sum = 0;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        sum += held[g];
    }
    return sum;
}
#elif EDGEBCI_REFERENCE_MEDIAN
static inline uint32_t count_up_to(const int32_t *restrict held, int32_t limit)
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        count += held[g] <= limit;
    }
    return count;
}

/* The two middle values, added. Bisection over the values: no memory, and the same time for every input. */
static inline int32_t reference_of(const int32_t *restrict held)
{
    int32_t below = -EDGEBCI_COUNT_SPAN - 1, middle = EDGEBCI_COUNT_SPAN;
    while (middle - below > 1) {
        const int32_t probe = below + (middle - below) / 2;
        if (count_up_to(held, probe) > (EDGEBCI_GOOD - 1) / 2) {
            middle = probe;
        } else {
            below = probe;
        }
    }
    if (count_up_to(held, middle) > EDGEBCI_GOOD / 2) {
        return 2 * middle;
    }
    int32_t next = EDGEBCI_COUNT_SPAN;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        next = held[g] > middle && held[g] < next ? held[g] : next;
    }
    return middle + next;
}
#else
static inline int32_t reference_of(const int32_t *restrict held)
{
    (void)held;
    return 0;
}
#endif

/* Subtract the reference in exact integers, go to microvolt, append to the block. */
static EDGEBCI_KERNEL void reference_row(edgebci_front_end_t *f)
{
    const int32_t *restrict held = f->held;
    const int32_t reference = reference_of(held);
    float *restrict x = f->block[f->waiting];
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        x[g] = (float)(EDGEBCI_MULTIPLIER * held[g] - reference) * EDGEBCI_UV_PER_STEP;
    }
    f->waiting++;
}

#define CALL_FILTER(kind, first, sections) filter_kind_##kind(f);

static void filter_waiting(edgebci_front_end_t *f)
{
    EDGEBCI_FOR_EACH_CHAIN(CALL_FILTER)
    f->waiting = 0;
}

/* One row through the integer path into the block; filters the block when it is full or the frame ends. */
static void take_row(edgebci_front_end_t *f, const edgebci_count_t *counts)
{
    if (counts == NULL) {
        hold_missing(f);
        f->missing_run += f->missing_run < EDGEBCI_RESET_AFTER_SAMPLES;
    } else {
        if (f->n_known < EDGEBCI_GOOD) {
            learn_offsets(f, counts);
        }
        hold_counts(f, counts);
        f->missing_run = 0;
    }
    if (f->missing_run == EDGEBCI_RESET_AFTER_SAMPLES) {
        f->reset_due = 1;
    }
    reference_row(f);
    f->row++;
    if (f->waiting == EDGEBCI_BLOCK || f->row == EDGEBCI_SAMPLES_PER_FRAME) {
        filter_waiting(f);
    }
}

static EDGEBCI_KERNEL void flush_all(float *restrict v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = edgebci_flush(v[i]);
    }
}

/* Exponential average of a band's mean square, and its logarithm; clears the sum for the next frame. */
static EDGEBCI_KERNEL void band_power(float scale, float *restrict value, float *restrict power)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const float p = power[g] + EDGEBCI_POWER_RATE * (edgebci_flush(value[g]) * scale - power[g]);
        power[g] = edgebci_flush(p);
        value[g] = edgebci_log(power[g] + EDGEBCI_FLOOR_UV2);
    }
}

/* Running normalisation of the good channels of one kind: features f [good] -> z [channels]. */
static EDGEBCI_KERNEL void normalize(edgebci_front_end_t *f, uint32_t kind, uint32_t learn, float *restrict z)
{
    const edgebci_statistics_t statistics = {EDGEBCI_MEAN(f)[kind], EDGEBCI_INVERSE_SD(f)[kind], f->shift[kind],
                                             f->scale[kind]};
    edgebci_normalize(f->value[kind], statistics, learn, edgebci_good_channel, z);
}

/* The end of a frame: features, normalisation, z. Returns whether the frame is valid. */
static uint32_t finish_frame(edgebci_front_end_t *f, float *restrict z)
{
    f->frames += f->frames <= EDGEBCI_STARTUP_FRAMES;
    const uint32_t valid = f->frames > EDGEBCI_STARTUP_FRAMES && f->flagged <= EDGEBCI_FLAGGED_LIMIT;
    f->flagged = 0;
    f->row = 0;
    flush_all(&f->s1[0][0], EDGEBCI_SECTIONS * EDGEBCI_COLUMNS);
    flush_all(&f->s2[0][0], EDGEBCI_SECTIONS * EDGEBCI_COLUMNS);
    flush_all(&f->carry[0][0], EDGEBCI_CARRY_ROWS * EDGEBCI_COLUMNS);
    for (uint32_t kind = 0; kind < EDGEBCI_KINDS; kind++) {
        if (EDGEBCI_IS_BAND(kind)) {
            band_power(edgebci_power_scale[kind], f->value[kind], f->power[kind]);
        }
        normalize(f, kind, valid && EDGEBCI_RUNNING, z + kind * EDGEBCI_CHANNELS);
        clear(f->value[kind], EDGEBCI_COLUMNS, 0.0f);
    }
    return valid;
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
