/* Portable C99 front end; see the header for layouts, edgebci/features/ for the definition that this follows. */
#include "edgebci_front_end.h"

#include <stddef.h>

#include "edgebci_math.h"

/* Channels that go through a filter side by side: one keeps its states in registers on a small core, sixteen fill the
 * vectors of a large one. No channel needs another, so every value gives the same bits. */
#ifndef EDGEBCI_GROUP
#if defined(__x86_64__) || defined(__aarch64__)
#define EDGEBCI_GROUP 16u
#else
#define EDGEBCI_GROUP 1u
#endif
#endif

enum { HIGH = 0, BAND = 1, LOW = 2 };

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
    clear(&f->s1[0][0], EDGEBCI_SECTIONS * EDGEBCI_GOOD, 0.0f);
    clear(&f->s2[0][0], EDGEBCI_SECTIONS * EDGEBCI_GOOD, 0.0f);
    clear(&f->carry[0][0], EDGEBCI_CARRY_ROWS * EDGEBCI_GOOD, 0.0f);
    clear(&f->value[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 0.0f);
    clear(&f->power[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 0.0f);
    clear(&f->shift[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 0.0f);
    clear(&f->scale[0][0], EDGEBCI_KINDS * EDGEBCI_GOOD, 1.0f);
    f->frames = 0;
    f->reset_due = 0;
}

void edgebci_front_end_init(edgebci_front_end_t *f)
{
    start_anew(f);
    clear(&f->block[0][0], EDGEBCI_BLOCK * EDGEBCI_GOOD, 0.0f);
    f->row = 0;
    f->waiting = 0;
    f->missing_run = 0;
    f->flagged = 0;
}

/* Update `held` from a row of counts: saturated samples keep the last good value, a first good one sets the offset. */
static EDGEBCI_KERNEL void hold_counts(edgebci_front_end_t *f, const edgebci_count_t *restrict counts)
{
    uint32_t flagged = 0;
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const int32_t count = counts[edgebci_good_channel[g]];
        if (count <= EDGEBCI_LOWEST_COUNT || count >= EDGEBCI_HIGHEST_COUNT) {
            flagged++;
        } else {
            if (!f->known[g]) {
                f->known[g] = 1;
                f->offset[g] = count;
            }
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

/* States of one section for a group of channels, out of memory while a block passes. */
typedef struct {
    float s1[EDGEBCI_GROUP], s2[EDGEBCI_GROUP], carry[EDGEBCI_GROUP];
} section_states_t;

/* One section over y [rows][group], in place. `output` and `carries` are constants where this is inlined. */
static inline __attribute__((always_inline)) void run_section(const edgebci_section_t *restrict section, uint32_t output,
                                                              uint32_t carries, float (*restrict y)[EDGEBCI_GROUP],
                                                              uint32_t rows, section_states_t *restrict s)
{
    const float g = section->g, r = section->r, a = section->a;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < EDGEBCI_GROUP; i++) {
            const float s2 = s->s2[i];
            const float high = a * ((y[row][i] - s2) - r * s->s1[i]);
            const float t1 = g * high;
            const float band = s->s1[i] + t1;
            s->s1[i] = band + t1;
            const float t2 = g * band;
            y[row][i] = output == HIGH ? high : output == BAND ? band : s2 + t2;
            const float u = carries ? (t2 + t2) + s->carry[i] : t2 + t2;
            s->s2[i] = s2 + u;
            s->carry[i] = carries ? u - (s->s2[i] - s2) : 0.0f;
        }
    }
}

static inline __attribute__((always_inline)) void run_any_section(const edgebci_section_t *restrict section,
                                                                  uint32_t carries, float (*restrict y)[EDGEBCI_GROUP],
                                                                  uint32_t rows, section_states_t *restrict s)
{
    if (section->output == HIGH) {
        run_section(section, HIGH, carries, y, rows, s);
    } else if (section->output == BAND) {
        run_section(section, BAND, carries, y, rows, s);
    } else {
        run_section(section, LOW, carries, y, rows, s);
    }
}

/* Section number `index` for the channels [first, first + width). */
static inline void filter(edgebci_front_end_t *f, uint32_t index, uint32_t first, uint32_t width,
                          float (*restrict y)[EDGEBCI_GROUP])
{
    const edgebci_section_t *section = &edgebci_section[index];
    float *s1 = &f->s1[index][first], *s2 = &f->s2[index][first];
    float *carry = &f->carry[section->carry ? section->carry - 1u : 0u][first];
    section_states_t s;
    for (uint32_t i = 0; i < EDGEBCI_GROUP; i++) {
        s.s1[i] = i < width ? s1[i] : 0.0f;
        s.s2[i] = i < width ? s2[i] : 0.0f;
        s.carry[i] = i < width ? carry[i] : 0.0f;
    }
    if (section->carry) {
        run_any_section(section, 1, y, f->waiting, &s);
    } else {
        run_any_section(section, 0, y, f->waiting, &s);
    }
    for (uint32_t i = 0; i < width; i++) {
        s1[i] = s.s1[i];
        s2[i] = s.s2[i];
        if (section->carry) {
            carry[i] = s.carry[i];
        }
    }
}

/* One kind of feature for the channels [first, first + width): filter the waiting rows and gather the outputs. */
static EDGEBCI_KERNEL void filter_block(edgebci_front_end_t *f, uint32_t kind, uint32_t first, uint32_t width)
{
    float y[EDGEBCI_BLOCK][EDGEBCI_GROUP];
    const uint32_t rows = f->waiting;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < EDGEBCI_GROUP; i++) {
            y[row][i] = i < width ? f->block[row][first + i] : 0.0f;
        }
    }
    for (uint32_t s = edgebci_chain_begin[kind]; s < edgebci_chain_begin[kind + 1]; s++) {
        filter(f, s, first, width, y);
    }
    float *restrict value = &f->value[kind][first];
    for (uint32_t i = 0; i < width; i++) {
        if (EDGEBCI_IS_BAND(kind)) {
            float sum = value[i];
            for (uint32_t row = 0; row < rows; row++) {
                sum = sum + y[row][i] * y[row][i];
            }
            value[i] = sum;
        } else {
            value[i] = y[rows - 1][i];
        }
    }
}

static void filter_waiting(edgebci_front_end_t *f)
{
    for (uint32_t kind = 0; kind < EDGEBCI_KINDS; kind++) {
        for (uint32_t first = 0; first < EDGEBCI_GOOD; first += EDGEBCI_GROUP) {
            const uint32_t left = EDGEBCI_GOOD - first;
            filter_block(f, kind, first, left < EDGEBCI_GROUP ? left : EDGEBCI_GROUP);
        }
    }
    f->waiting = 0;
}

/* One row through the integer path into the block; filters the block when it is full or the frame ends. */
static void take_row(edgebci_front_end_t *f, const edgebci_count_t *counts)
{
    if (counts == NULL) {
        hold_missing(f);
        f->missing_run += f->missing_run < EDGEBCI_RESET_AFTER_SAMPLES;
    } else {
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
    const float *restrict value = f->value[kind], *restrict mean = edgebci_mean[kind];
    const float *restrict inverse_sd = edgebci_inverse_sd[kind];
    float *restrict shift = f->shift[kind], *restrict scale = f->scale[kind];
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const float u = (value[g] - mean[g]) * inverse_sd[g];
        const float d = u - shift[g];
        const float v = edgebci_clamp(d * scale[g], -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
        z[edgebci_good_channel[g]] = v;
        if (learn) {
            const float bounded = edgebci_clamp(d, -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
            shift[g] = edgebci_clamp(shift[g] + EDGEBCI_RATE * bounded, -EDGEBCI_MEAN_LIMIT, EDGEBCI_MEAN_LIMIT);
            const float grown = scale[g] + scale[g] * (EDGEBCI_HALF_RATE * (1.0f - v * v));
            scale[g] = edgebci_clamp(grown, EDGEBCI_LOWEST_SCALE, EDGEBCI_HIGHEST_SCALE);
        }
    }
}

/* The end of a frame: features, normalisation, z. Returns whether the frame is valid. */
static uint32_t finish_frame(edgebci_front_end_t *f, float *restrict z)
{
    f->frames += f->frames <= EDGEBCI_STARTUP_FRAMES;
    const uint32_t valid = f->frames > EDGEBCI_STARTUP_FRAMES && f->flagged <= EDGEBCI_FLAGGED_LIMIT;
    f->flagged = 0;
    f->row = 0;
    flush_all(&f->s1[0][0], EDGEBCI_SECTIONS * EDGEBCI_GOOD);
    flush_all(&f->s2[0][0], EDGEBCI_SECTIONS * EDGEBCI_GOOD);
    flush_all(&f->carry[0][0], EDGEBCI_CARRY_ROWS * EDGEBCI_GOOD);
    for (uint32_t kind = 0; kind < EDGEBCI_KINDS; kind++) {
        if (EDGEBCI_IS_BAND(kind)) {
            band_power(edgebci_power_scale[kind], f->value[kind], f->power[kind]);
        }
        normalize(f, kind, valid && EDGEBCI_RUNNING, z + kind * EDGEBCI_CHANNELS);
        clear(f->value[kind], EDGEBCI_GOOD, 0.0f);
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
