/* The front end in fixed point: rows of ADC counts in, one normalised frame of band powers out every
 * EDGEBCI_SAMPLES_PER_FRAME rows.
 *
 * It equals edgebci/features/fixed_device.py bit for bit. Sizes and tables are compile-time constants (generated:
 * edgebci_configuration.h, front_end_tables.h); all state is in one struct that the caller owns. Good channels only:
 * dead ones are dropped from the row on arrival and their features stay 0.
 */
#ifndef EDGEBCI_FRONT_END_FIXED_H
#define EDGEBCI_FRONT_END_FIXED_H

#include <stdint.h>

#include "edgebci_configuration.h"
#include "edgebci_fixed.h"

typedef struct {
#if defined(EDGEBCI_LOADABLE)
    float mean[EDGEBCI_KINDS][EDGEBCI_GOOD]; /* statistics, which may be loaded; first, since a reset keeps them */
    float inverse_sd[EDGEBCI_KINDS][EDGEBCI_GOOD];
#endif
    edgebci_two_t block[EDGEBCI_GOOD][EDGEBCI_FRAME_WORDS]; /* steps of the followers in this frame, channel by channel */
    int32_t reference_step[EDGEBCI_SAMPLES_PER_FRAME];      /* of the reference, with 14 bits below a count */
    int32_t state[EDGEBCI_PAIRS][EDGEBCI_GOOD + 1][2];      /* q1 and q2 of each pole pair; the reference's comes last */
    float end[EDGEBCI_KINDS][EDGEBCI_GOOD];                 /* what corrected the last frame's sum of squares */
    float value[EDGEBCI_GOOD];                              /* of one band, between two kernels */
    float power[EDGEBCI_KINDS][EDGEBCI_GOOD];               /* exponential average and the floor, in microvolt squared */
    float shift[EDGEBCI_KINDS][EDGEBCI_GOOD];               /* normaliser: mean and 1 / sd against the bundle's */
    float scale[EDGEBCI_KINDS][EDGEBCI_GOOD];
    int32_t offsets;                /* their sum */
    int32_t reference;              /* of the last row, with 14 bits below a count */
    uint32_t row;                   /* rows of this frame so far */
    uint32_t missing_run;           /* missing rows in a row, counted up to EDGEBCI_RESET_AFTER_SAMPLES */
    uint32_t frames;                /* since power-on or reset, counted up to EDGEBCI_STARTUP_FRAMES + 1 */
    uint32_t flagged;               /* saturated or missing samples in this frame */
    uint32_t n_known;               /* channels that have an offset */
    int16_t held[EDGEBCI_GOOD];     /* last good count */
    int16_t followed[EDGEBCI_GOOD]; /* follows it by what 16 bits hold in a row */
    int16_t offset[EDGEBCI_GOOD];   /* first good count */
    uint8_t known[EDGEBCI_GOOD];    /* this channel has one */
    uint8_t reset_due;              /* start anew at the next frame */
} edgebci_front_end_t;

/* Power-on. */
void edgebci_front_end_init(edgebci_front_end_t *f);

#if defined(EDGEBCI_LOADABLE)
/* Put the statistics of the export where loaded ones would be. */
void edgebci_front_end_take_exported(edgebci_front_end_t *f);
#endif

/* What edgebci_front_end_push returns, as bits. */
#define EDGEBCI_STARTED_ANEW 1u   /* before this row: the decoder's states must start anew too */
#define EDGEBCI_FRAME_FINISHED 2u /* with this row: z is written */
#define EDGEBCI_FRAME_VALID 4u

/* Take one row of counts [EDGEBCI_CHANNELS], or a missing one (NULL). The last row of a frame writes
 * z [EDGEBCI_KINDS * EDGEBCI_CHANNELS], except the entries of dead channels: the caller zeroes those once. */
uint32_t edgebci_front_end_push(edgebci_front_end_t *f, const edgebci_count_t *counts, float *restrict z);

#endif
