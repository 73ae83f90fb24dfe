/* A device program of the smallest kind: sums the channels over a frame. Two samples to a frame, three channels.
   A missing sample repeats the one before, and makes its frame invalid. */
#include <stdint.h>

#define CHANNELS 3
#define FRAME 2

int16_t edgebci_harness_counts[FRAME * CHANNELS];
float edgebci_harness_outputs[2];
uint8_t edgebci_harness_valid;
struct {
    int16_t held[CHANNELS];
    int32_t sum;
    uint32_t filled, lost, frames;
} edgebci_harness_context;
float scale = 0.5f;

__attribute__((noinline)) uint32_t edgebci_front_end_push(const int16_t *counts) {
    for (uint32_t c = 0; c < CHANNELS; c++) {
        edgebci_harness_context.held[c] = counts[c];
        edgebci_harness_context.sum += counts[c];
    }
    return ++edgebci_harness_context.filled == FRAME;
}

__attribute__((noinline)) void edgebci_decoder_step(void) {
    edgebci_harness_outputs[0] = (float)edgebci_harness_context.sum * scale;
    edgebci_harness_outputs[1] = (float)++edgebci_harness_context.frames;
    edgebci_harness_valid = edgebci_harness_context.lost == 0;
    edgebci_harness_context.sum = 0;
    edgebci_harness_context.filled = edgebci_harness_context.lost = 0;
}

void edgebci_harness_init(void) { edgebci_harness_context.frames = 0; }

uint32_t edgebci_harness_push(uint32_t n) {
    uint32_t finished = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (edgebci_front_end_push(edgebci_harness_counts + i * CHANNELS)) {
            edgebci_decoder_step();
            finished++;
        }
    }
    return finished;
}

uint32_t edgebci_harness_push_missing(uint32_t n) {
    uint32_t finished = 0;
    for (uint32_t i = 0; i < n; i++) {
        edgebci_harness_context.lost++;
        if (edgebci_front_end_push(edgebci_harness_context.held)) {
            edgebci_decoder_step();
            finished++;
        }
    }
    return finished;
}
