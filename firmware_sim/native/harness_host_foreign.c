/* The host twin of a decoder that takes frames of floats, behind the interface of harness_host.c: a row of counts is the
 * bits of one frame. */
#include <stddef.h>

#include "decoder.h"

typedef struct {
    uint32_t channels, count_bytes, samples_per_frame, features, outputs, context_bytes, fields;
} edgebci_host_sizes_t;

const edgebci_host_sizes_t edgebci_host_sizes = {
    EDGEBCI_INPUTS, sizeof(float), 1u, EDGEBCI_INPUTS, EDGEBCI_OUTPUTS, sizeof(edgebci_t), EDGEBCI_FIELDS,
};

/* Push n frames. For each, write its values, 1, and the frame that the decoder saw. */
uint32_t edgebci_host_push(edgebci_t *c, const float *rows, const uint8_t *missing, uint32_t n, float *values,
                           uint8_t *valid, float *features);

uint32_t edgebci_host_push(edgebci_t *c, const float *rows, const uint8_t *missing, uint32_t n, float *values,
                           uint8_t *valid, float *features)
{
    (void)missing;
    for (uint32_t i = 0; i < n; i++, rows += EDGEBCI_INPUTS) {
        const edgebci_output_t *output = edgebci_push_frame(c, rows);
        for (uint32_t j = 0; j < EDGEBCI_OUTPUTS; j++) {
            *values++ = output->values[j];
        }
        for (uint32_t j = 0; j < EDGEBCI_INPUTS; j++) {
            *features++ = c->frame[j];
        }
        *valid++ = 1;
    }
    return n;
}
