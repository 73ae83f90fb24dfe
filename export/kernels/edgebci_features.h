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

/* Channels that are normalised together, step by step: a core that starts one instruction at a time need not wait then
 * for the result of the last. */
#define EDGEBCI_TOGETHER 2u

#if EDGEBCI_GOOD == EDGEBCI_CHANNELS
#define EDGEBCI_PLACE(channel, g) ((void)(channel), (g))
#else
#define EDGEBCI_PLACE(channel, g) ((channel)[g])
#endif

/* Normalise features of n channels of one kind from g on; channel[g] says where in z each goes. */
static EDGEBCI_INLINE void edgebci_normalize_some(const float *restrict value, edgebci_statistics_t s, uint32_t learn,
                                                  const uint16_t *restrict channel, float *restrict z, uint32_t g,
                                                  uint32_t n)
{
    float d[EDGEBCI_TOGETHER], v[EDGEBCI_TOGETHER], moved[EDGEBCI_TOGETHER], grown[EDGEBCI_TOGETHER];
    for (uint32_t j = 0; j < n; j++) {
        const float u = (value[g + j] - s.mean[g + j]) * s.inverse_sd[g + j];
        d[j] = u - s.shift[g + j];
    }
    for (uint32_t j = 0; j < n; j++) {
        v[j] = edgebci_clamp(d[j] * s.scale[g + j], -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
    }
    for (uint32_t j = 0; j < n; j++) {
        z[EDGEBCI_PLACE(channel, g + j)] = v[j];
    }
    if (learn) {
        for (uint32_t j = 0; j < n; j++) {
            const float bounded = edgebci_clamp(d[j], -EDGEBCI_Z_LIMIT, EDGEBCI_Z_LIMIT);
            moved[j] = s.shift[g + j] + EDGEBCI_RATE * bounded;
            grown[j] = s.scale[g + j] + s.scale[g + j] * (EDGEBCI_HALF_RATE * (1.0f - v[j] * v[j]));
        }
        for (uint32_t j = 0; j < n; j++) {
            s.shift[g + j] = edgebci_flush(edgebci_clamp(moved[j], -EDGEBCI_MEAN_LIMIT, EDGEBCI_MEAN_LIMIT));
            s.scale[g + j] = edgebci_clamp(grown[j], EDGEBCI_LOWEST_SCALE, EDGEBCI_HIGHEST_SCALE);
        }
    }
}

/* The same for all [good]. */
static EDGEBCI_INLINE void edgebci_normalize(const float *restrict value, edgebci_statistics_t s, uint32_t learn,
                                             const uint16_t *restrict channel, float *restrict z)
{
    uint32_t g = 0;
    for (; g + EDGEBCI_TOGETHER <= EDGEBCI_GOOD; g += EDGEBCI_TOGETHER) {
        edgebci_normalize_some(value, s, learn, channel, z, g, EDGEBCI_TOGETHER);
    }
    for (; g < EDGEBCI_GOOD; g++) {
        edgebci_normalize_some(value, s, learn, channel, z, g, 1u);
    }
}

#endif
