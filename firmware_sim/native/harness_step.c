/* What times and tests need of the decoder alone: where a frame goes in and the output lies, steps in a loop, and the
 * instructions that the kernels were compiled for. */
#include <stddef.h>

#include "decoder.h"

#if defined(__has_include)
#if __has_include("edgebci_vector.h")
#include "edgebci_vector.h"
#endif
#endif
#ifndef EDGEBCI_INSTRUCTIONS
#define EDGEBCI_INSTRUCTIONS "none, portable C"
#endif

#ifdef EDGEBCI_MOST_TOKENS
#define FRAME tokens /* of a decoder of spikes */
#else
#define FRAME frame
#endif

typedef struct {
    uint32_t frame_offset, frame_bytes, output_offset, outputs, context_bytes, fields;
} edgebci_step_sizes_t;

const edgebci_step_sizes_t edgebci_step_sizes = {
    offsetof(edgebci_t, FRAME),  sizeof(((edgebci_t *)0)->FRAME), offsetof(edgebci_t, output.values),
    EDGEBCI_OUTPUTS,             sizeof(edgebci_t),               EDGEBCI_FIELDS,
};

extern const char edgebci_instructions[32];
const char edgebci_instructions[32] = EDGEBCI_INSTRUCTIONS;

void edgebci_decoder_step(edgebci_t *c);

/* n steps on the frame that lies in the context. */
void edgebci_steps(edgebci_t *c, uint32_t n);

void edgebci_steps(edgebci_t *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        edgebci_decoder_step(c);
    }
}
