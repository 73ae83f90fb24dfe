/* A decoder that takes frames of floats on a core, behind the interface of harness_target.c: a row of counts is the bits
 * of one frame. */
#include "decoder.h"

edgebci_t edgebci_harness_context;
float edgebci_harness_counts[EDGEBCI_INPUTS];
float edgebci_harness_outputs[EDGEBCI_OUTPUTS];
uint8_t edgebci_harness_valid;

void edgebci_harness_init(void);
uint32_t edgebci_harness_push(uint32_t n);
uint32_t edgebci_harness_push_missing(uint32_t n);
void edgebci_target_entry(void);

void edgebci_harness_init(void)
{
    edgebci_init(&edgebci_harness_context);
}

/* One frame. */
uint32_t edgebci_harness_push(uint32_t n)
{
    (void)n;
    const edgebci_output_t *output = edgebci_push_frame(&edgebci_harness_context, edgebci_harness_counts);
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        edgebci_harness_outputs[i] = output->values[i];
    }
    edgebci_harness_valid = 1;
    return 1;
}

/* Frames are never missing. */
uint32_t edgebci_harness_push_missing(uint32_t n)
{
    (void)n;
    return 0;
}

/* Where a core that starts on its own begins: ready, and waiting to be called. */
void edgebci_target_entry(void)
{
    edgebci_harness_init();
    for (;;) {
    }
}
