/* From float32 to the integers of the fixed-point kernels, and what their norms are scaled by. */
#ifndef EDGEBCI_FIXED_ROUNDING_H
#define EDGEBCI_FIXED_ROUNDING_H

#include <stdint.h>

#include "edgebci_math.h"

/* Round to nearest, ties to even, within +-limit, at most 2^21. The bits of sums with EDGEBCI_ROUNDER are integers in the
 * order of the sums; those in range hold the rounded value. */
static inline int32_t edgebci_round_within(float v, int32_t limit)
{
    const int32_t zero = (int32_t)edgebci_bits(EDGEBCI_ROUNDER), lowest = zero - limit, highest = zero + limit;
    const int32_t bits = (int32_t)edgebci_bits(v + EDGEBCI_ROUNDER);
    const int32_t raised = bits > lowest ? bits : lowest;
    return (raised < highest ? raised : highest) - zero;
}

/* A positive float as an integer, rounded down, at most `highest`; NaN is 0. */
static inline int32_t edgebci_truncate(float v, float highest)
{
    return (int32_t)edgebci_clamp(v, 0.0f, highest);
}

typedef struct {
    float mean; /* what one count of sum(x^2) / 256 adds to the mean square */
    float unit; /* 2^16 counts of q per count of x at an rms of 1 */
    float epsilon;
} edgebci_norm_fixed_t;

/* What `squares`, the sum of n squares, makes of a count: the multiplier of edgebci_norm_fixed_pair. */
static EDGEBCI_INLINE int32_t edgebci_norm_fixed_twice(const edgebci_norm_fixed_t *norm, int64_t squares)
{
    const float mean_square = (float)(uint32_t)(squares >> 8) * norm->mean;
    const float r = edgebci_reciprocal_sqrt(mean_square + norm->epsilon);
    const int32_t multiplier = edgebci_truncate(r * norm->unit, 0x1.0p30f);
    return multiplier + (multiplier - (multiplier >> 30)); /* 2^31 would not fit; one less does the same */
}

#endif
