/* What the host twin needs beside the decoder itself: a whole stream in one call, and the sizes of things. */
#include <stddef.h>

#include "decoder.h"

typedef struct {
    uint32_t channels, count_bytes, samples_per_frame, features, outputs, context_bytes, fields;
} edgebci_host_sizes_t;

const edgebci_host_sizes_t edgebci_host_sizes = {
    EDGEBCI_CHANNELS,
    sizeof(edgebci_count_t),
    EDGEBCI_SAMPLES_PER_FRAME,
    EDGEBCI_KINDS * EDGEBCI_CHANNELS,
    EDGEBCI_OUTPUTS,
    sizeof(edgebci_t),
    EDGEBCI_FIELDS,
};

/* Push n rows, row by row; a row is missing where `missing` (may be NULL) is not 0. For each frame that finishes, write
 * its values [EDGEBCI_OUTPUTS], its valid flag and its features [channels * kinds]. Returns the number of frames. */
uint32_t edgebci_host_push(edgebci_t *c, const edgebci_count_t *counts, const uint8_t *missing, uint32_t n,
                           float *values, uint8_t *valid, float *features);

uint32_t edgebci_host_push(edgebci_t *c, const edgebci_count_t *counts, const uint8_t *missing, uint32_t n,
                           float *values, uint8_t *valid, float *features)
{
    uint32_t frames = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t lost = missing != NULL && missing[i] != 0;
        const edgebci_count_t *row = counts + (size_t)i * EDGEBCI_CHANNELS;
        if (!(lost ? edgebci_push_missing(c, 1) : edgebci_push_samples(c, row, 1))) {
            continue;
        }
        for (uint32_t j = 0; j < EDGEBCI_OUTPUTS; j++) {
            *values++ = edgebci_output(c)->values[j];
        }
        for (uint32_t j = 0; j < EDGEBCI_KINDS * EDGEBCI_CHANNELS; j++) {
            *features++ = c->frame[j];
        }
        *valid++ = (uint8_t)edgebci_output(c)->valid;
        frames++;
    }
    return frames;
}
