/* The program on a core: the decoder with its context and buffers in RAM, driven through three functions.
 *
 * Write up to EDGEBCI_SAMPLES_PER_FRAME rows into edgebci_harness_counts, call edgebci_harness_push(rows), and where it
 * returns 1 read edgebci_harness_outputs and edgebci_harness_valid. On an implant the converter's interrupt does this.
 */
#include "harness_target.h"

edgebci_count_t edgebci_harness_counts[EDGEBCI_SAMPLES_PER_FRAME * EDGEBCI_CHANNELS];

static uint32_t publish(uint32_t frames)
{
    if (frames) {
        const edgebci_output_t *output = edgebci_output(&edgebci_harness_context);
        (void)edgebci_harness_publish(output->values, (uint8_t)output->valid);
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
