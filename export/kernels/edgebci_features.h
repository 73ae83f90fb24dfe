/* What both forms of the front end do: find saturated counts, normalise features. */
#ifndef EDGEBCI_FEATURES_H
#define EDGEBCI_FEATURES_H

#include "edgebci_configuration.h"
#include "edgebci_math.h"

/* The statistics that the front end f normalises with: in its context where they may be loaded, else in flash. */
#if defined(EDGEBCI_LOADABLE)
#define EDGEBCI_MEAN(f) ((f)->mean)
#define EDGEBCI_INVERSE_SD(f) ((f)->inverse_sd)
#else
#define EDGEBCI_MEAN(f) edgebci_mean
#define EDGEBCI_INVERSE_SD(f) edgebci_inverse_sd
#endif

/* Statistics of one kind of feature, of the good channels: the bundle's, and what this stream has learned. */
typedef struct {
    const float *mean, *inverse_sd;
    float *shift, *scale;
} edgebci_statistics_t;

/* A count at a rail. */
static inline uint32_t edgebci_is_saturated(int32_t count)
{
    return count <= EDGEBCI_LOWEST_COUNT || count >= EDGEBCI_HIGHEST_COUNT;
}

/* Normalise features of one kind [good]; channel[g] says where in z each goes. */
static inline void edgebci_normalize(const float *restrict value, edgebci_statistics_t s, uint32_t learn,
                                     const uint16_t *restrict channel, float *restrict z)
{
    for (uint32_t g = 0; g < EDGEBCI_GOOD; g++) {
        const float u = (value[g] - s.mean[g]) * s.inverse_sd[g];
        const float d = u - s.shift[g];
        const float v = edgebci_clamp(d * s.scale[g], -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
        z[channel[g]] = v;
        if (learn) {
            const float bounded = edgebci_clamp(d, -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
            const float moved = s.shift[g] + EDGEBCI_RATE * bounded;
            s.shift[g] = edgebci_flush(edgebci_clamp(moved, -EDGEBCI_MEAN_LIMIT, EDGEBCI_MEAN_LIMIT));
            const float grown = s.scale[g] + s.scale[g] * (EDGEBCI_HALF_RATE * (1.0f - v * v));
            s.scale[g] = edgebci_clamp(grown, EDGEBCI_LOWEST_SCALE, EDGEBCI_HIGHEST_SCALE);
        }
    }
}

#endif
