/* What every program on a core has beside its decoder: context and outputs in RAM, and a place to begin. */
#ifndef EDGEBCI_HARNESS_TARGET_H
#define EDGEBCI_HARNESS_TARGET_H

#include "decoder.h"

edgebci_t edgebci_harness_context;
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

/* Put one frame's outputs where they are read. */
static uint32_t edgebci_harness_publish(const float *values, uint8_t valid)
{
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        edgebci_harness_outputs[i] = values[i];
    }
    edgebci_harness_valid = valid;
    return 1;
}

/* Where a core that starts on its own begins: ready, and waiting to be called. */
void edgebci_target_entry(void)
{
    edgebci_harness_init();
    for (;;) {
    }
}

#endif
