/* A decoder that takes frames of floats on a core, behind the interface of harness_target.c: a row of counts is the bits
 * of one frame. */
#include "harness_target.h"

float edgebci_harness_counts[EDGEBCI_INPUTS];

/* One frame. */
uint32_t edgebci_harness_push(uint32_t n)
{
    (void)n;
    return edgebci_harness_publish(edgebci_push_frame(&edgebci_harness_context, edgebci_harness_counts)->values, 1);
}

/* Frames are never missing. */
uint32_t edgebci_harness_push_missing(uint32_t n)
{
    (void)n;
    return 0;
}
