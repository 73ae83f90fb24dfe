/* C99 front end in fixed point; see the header for layouts, edgebci/features/fixed_device.py for the definition. */
#include "edgebci_front_end_fixed.h"

#include <stddef.h>

#include "edgebci_features.h"
#include "edgebci_front_end_filters.h"
#include "edgebci_front_end_powers.h"
#include "edgebci_front_end_rows.h"
#include "front_end_tables.h"

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
