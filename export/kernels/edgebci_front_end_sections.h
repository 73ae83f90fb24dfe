/* The filters of the float32 front end: the waiting rows of a kind of feature through its second-order sections. */
#ifndef EDGEBCI_FRONT_END_SECTIONS_H
#define EDGEBCI_FRONT_END_SECTIONS_H

#include <stdint.h>

#include "edgebci_front_end.h"
#include "edgebci_math.h"
#include "front_end_tables.h"

/* Channels that go through a filter side by side, so that one's arithmetic fills the other's waiting time: as many as
 * have room in registers. No channel needs another, so every number of them gives the same bits. */
#ifndef EDGEBCI_GROUP
#if defined(__AVX512VL__)
#define EDGEBCI_GROUP 16u
#elif defined(__AVX2__)
#define EDGEBCI_GROUP 8u
#elif defined(__x86_64__) || defined(__aarch64__)
#define EDGEBCI_GROUP 4u
#else
#define EDGEBCI_GROUP 2u
#endif
#endif
/* What divides EDGEBCI_COLUMNS, for the channels that no whole group is left of. */
#define EDGEBCI_SMALL_GROUP (EDGEBCI_GROUP < 4u ? EDGEBCI_GROUP : 4u)

enum { HIGH = 0, BAND = 1, LOW = 2 };

/* One section for n channels, y in place. `section` and n are constants where this is inlined. */
static EDGEBCI_INLINE void run_section(const edgebci_section_t *section, uint32_t n, float *restrict y,
                                       float *restrict s1, float *restrict s2, float *restrict carry)
{
    float band[EDGEBCI_GROUP], t[EDGEBCI_GROUP];
    for (uint32_t i = 0; i < n; i++) {
        const float high = section->a * ((y[i] - s2[i]) - section->r * s1[i]);
        t[i] = section->g * high;
        band[i] = s1[i] + t[i];
        y[i] = section->output == HIGH ? high : band[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        s1[i] = band[i] + t[i];
        t[i] = section->g * band[i];
        y[i] = section->output == LOW ? s2[i] + t[i] : y[i];
        t[i] = t[i] + t[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        const float u = section->carry ? t[i] + carry[i] : t[i];
        const float sum = s2[i] + u;
        carry[i] = section->carry ? u - (sum - s2[i]) : 0.0f;
        s2[i] = sum;
    }
}

static EDGEBCI_INLINE void copy(const float *restrict from, uint32_t n, float *restrict to)
{
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

/* One kind of feature, n channels from `column` on: the waiting rows through its sections, which keep their states in
 * registers. */
static EDGEBCI_INLINE void filter_columns(edgebci_front_end_t *f, uint32_t kind, const edgebci_section_t *chain,
                                          uint32_t first, uint32_t sections, uint32_t column, uint32_t n)
{
    float s1[EDGEBCI_LONGEST_CHAIN][EDGEBCI_GROUP], s2[EDGEBCI_LONGEST_CHAIN][EDGEBCI_GROUP];
    float carry[EDGEBCI_LONGEST_CHAIN][EDGEBCI_GROUP], y[EDGEBCI_GROUP], value[EDGEBCI_GROUP];
    EDGEBCI_UNROLL
    for (uint32_t s = 0; s < sections; s++) {
        copy(&f->s1[first + s][column], n, s1[s]);
        copy(&f->s2[first + s][column], n, s2[s]);
        if (chain[s].carry) {
            copy(&f->carry[chain[s].carry - 1u][column], n, carry[s]);
        }
    }
    copy(&f->value[kind][column], n, value);
    for (uint32_t row = 0; row < f->waiting; row++) {
        copy(&f->block[row][column], n, y);
        EDGEBCI_UNROLL
        for (uint32_t s = 0; s < sections; s++) {
            run_section(&chain[s], n, y, s1[s], s2[s], carry[s]);
        }
        for (uint32_t i = 0; i < n; i++) {
            value[i] = EDGEBCI_IS_BAND(kind) ? value[i] + y[i] * y[i] : y[i];
        }
    }
    copy(value, n, &f->value[kind][column]);
    EDGEBCI_UNROLL
    for (uint32_t s = 0; s < sections; s++) {
        copy(s1[s], n, &f->s1[first + s][column]);
        copy(s2[s], n, &f->s2[first + s][column]);
        if (chain[s].carry) {
            copy(carry[s], n, &f->carry[chain[s].carry - 1u][column]);
        }
    }
}

static EDGEBCI_INLINE void filter_kind(edgebci_front_end_t *f, uint32_t kind, const edgebci_section_t *chain,
                                       uint32_t first, uint32_t sections)
{
    const uint32_t grouped = EDGEBCI_COLUMNS / EDGEBCI_GROUP * EDGEBCI_GROUP;
    for (uint32_t column = 0; column < grouped; column += EDGEBCI_GROUP) {
        filter_columns(f, kind, chain, first, sections, column, EDGEBCI_GROUP);
    }
    for (uint32_t column = grouped; column < EDGEBCI_COLUMNS; column += EDGEBCI_SMALL_GROUP) {
        filter_columns(f, kind, chain, first, sections, column, EDGEBCI_SMALL_GROUP);
    }
}

/* One function for each kind, its chain of sections known to the compiler. */
#define DEFINE_FILTER(kind, first, sections)                                                      \
    static EDGEBCI_KERNEL void filter_kind_##kind(edgebci_front_end_t *f)                         \
    {                                                                                             \
        filter_kind(f, kind, edgebci_section + first, first, sections);                           \
    }
EDGEBCI_FOR_EACH_CHAIN(DEFINE_FILTER)

#endif
