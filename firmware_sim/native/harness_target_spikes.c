/* A decoder of spikes on a core, behind the interface of harness_target.c: rows are spikes (unit, time step) and a chunk
 * is ROWS of them, of which those with unit 0 are none. */
#include "decoder.h"

#define ROWS (2u * EDGEBCI_MOST_TOKENS)

edgebci_t edgebci_harness_context;
int16_t edgebci_harness_counts[ROWS * 2u];
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

/* A whole chunk of n rows. */
uint32_t edgebci_harness_push(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const int16_t *row = edgebci_harness_counts + 2u * i;
        (void)edgebci_push_spike(&edgebci_harness_context, (uint32_t)row[0], (uint32_t)row[1]);
    }
    const edgebci_output_t *output = edgebci_finish_chunk(&edgebci_harness_context);
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        edgebci_harness_outputs[i] = output->values[i];
    }
    edgebci_harness_valid = 1;
    return 1;
}

/* Spikes are never missing: a chunk without any is a chunk. */
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
