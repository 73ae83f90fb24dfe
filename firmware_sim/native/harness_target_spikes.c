/* A decoder of spikes on a core, behind the interface of harness_target.c: rows are spikes (unit, time step) and a chunk
 * is ROWS of them, of which those with unit 0 are none. */
#include "harness_target.h"

#define ROWS (2u * EDGEBCI_MOST_TOKENS)

int16_t edgebci_harness_counts[ROWS * 2u];

/* A whole chunk of n rows. */
uint32_t edgebci_harness_push(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const int16_t *row = edgebci_harness_counts + 2u * i;
        (void)edgebci_push_spike(&edgebci_harness_context, (uint32_t)row[0], (uint32_t)row[1]);
    }
    return edgebci_harness_publish(edgebci_finish_chunk(&edgebci_harness_context)->values, 1);
}

/* Spikes are never missing: a chunk without any is a chunk. */
uint32_t edgebci_harness_push_missing(uint32_t n)
{
    (void)n;
    return 0;
}
