/* The program on a core: the decoder with its context and buffers in RAM, driven through three functions.
 *
 * Write up to EDGEBCI_SAMPLES_PER_FRAME rows into edgebci_harness_counts, call edgebci_harness_push(rows), and where it
 * returns 1 read edgebci_harness_outputs and edgebci_harness_valid. On an implant the converter's interrupt does this.
 */
#include "decoder.h"

edgebci_t edgebci_harness_context;
edgebci_count_t edgebci_harness_counts[EDGEBCI_SAMPLES_PER_FRAME * EDGEBCI_CHANNELS];
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

static uint32_t publish(uint32_t frames)
{
    if (frames) {
        const edgebci_output_t *output = edgebci_output(&edgebci_harness_context);
        for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
            edgebci_harness_outputs[i] = output->values[i];
        }
        edgebci_harness_valid = (uint8_t)output->valid;
    }
    return frames;
}

uint32_t edgebci_harness_push(uint32_t n)
{
    return publish(edgebci_push_samples(&edgebci_harness_context, edgebci_harness_counts, n));
}

uint32_t edgebci_harness_push_missing(uint32_t n)
{
    return publish(edgebci_push_missing(&edgebci_harness_context, n));
}

/* Where a core that starts on its own begins: ready, and waiting to be called. */
void edgebci_target_entry(void)
{
    edgebci_harness_init();
    for (;;) {
    }
}
