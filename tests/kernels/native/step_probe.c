/* One step of the decoder on a frame from outside, for tests through ctypes. */
#include "decoder.h"

void edgebci_decoder_step(edgebci_t *c);

static edgebci_t context;

void probe_init(void);
void probe_init(void)
{
    edgebci_init(&context);
}

void probe_step(const float *frame, float *output);
void probe_step(const float *frame, float *output)
{
    for (uint32_t i = 0; i < sizeof context.frame / sizeof context.frame[0]; i++) {
        context.frame[i] = frame[i];
    }
    edgebci_decoder_step(&context);
    for (uint32_t i = 0; i < sizeof context.output.values / sizeof context.output.values[0]; i++) {
        output[i] = context.output.values[i];
    }
}
