/* The host twin of a decoder of spikes, behind the interface of harness_host.c: rows are spikes (unit, time step) and a
 * chunk is ROWS of them, of which those with unit 0 are none. */
#include <stddef.h>

#include "decoder.h"

#define ROWS (2u * EDGEBCI_MOST_TOKENS)

typedef struct {
    uint32_t channels, count_bytes, samples_per_frame, features, outputs, context_bytes, fields;
} edgebci_host_sizes_t;

const edgebci_host_sizes_t edgebci_host_sizes = {
    2u, sizeof(int16_t), ROWS, 1u, EDGEBCI_OUTPUTS, sizeof(edgebci_t), EDGEBCI_FIELDS,
};

/* Push n rows, whole chunks of them. For each chunk, write its values, 1, and how many spikes were dropped. */
uint32_t edgebci_host_push(edgebci_t *c, const int16_t *rows, const uint8_t *missing, uint32_t n, float *values,
                           uint8_t *valid, float *features);

uint32_t edgebci_host_push(edgebci_t *c, const int16_t *rows, const uint8_t *missing, uint32_t n, float *values,
                           uint8_t *valid, float *features)
{
    uint32_t chunks = 0;
    (void)missing;
    for (uint32_t i = 0; i < n; i++, rows += 2) {
        (void)edgebci_push_spike(c, (uint32_t)rows[0], (uint32_t)rows[1]);
        if ((i + 1u) % ROWS != 0) {
            continue;
        }
        const edgebci_output_t *output = edgebci_finish_chunk(c);
        for (uint32_t j = 0; j < EDGEBCI_OUTPUTS; j++) {
            *values++ = output->values[j];
        }
        *features++ = (float)output->dropped;
        *valid++ = 1;
        chunks++;
    }
    return chunks;
}
