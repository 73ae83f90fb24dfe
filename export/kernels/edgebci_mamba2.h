/* edgebci.Mamba2Step: one step of one stream with int16 states.
 *
 * EDGEBCI_DEFINE_MAMBA2_STEP(name, heads, headdim, state_size, taps) defines the kernel for one shape,
 * `void name(m, p, conv, ssm, g)`, and its three parts as functions of their own, name_convolution, name_state and
 * name_gate, so that a profile tells them apart.
 *
 *     p [z | x | B | C | dt]              in, float; used up (the convolution writes over x, B, C)
 *     conv [conv_dim][taps - 1]           int16, oldest first, advanced in place; conv_dim = heads * headdim + 2 * N
 *     ssm [heads][headdim][N]             int16, advanced in place; N = state_size, a multiple of 4
 *     g [heads * headdim]                 out, float
 */
#ifndef EDGEBCI_MAMBA2_H
#define EDGEBCI_MAMBA2_H

#include <stdint.h>

#include "edgebci_mamba2_parts.h"

/* The same with `ssm` of type state_t, which the function `advance` advances. */
#define EDGEBCI_DEFINE_MAMBA2_STEP_OF(state_t, advance, name, heads, headdim, state_size, taps)           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_mamba2_t *m, float *restrict xbc,         \
                                                  int16_t *restrict conv)                                 \
    {                                                                                                     \
        edgebci_mamba2_convolution(m, heads * headdim + 2u * state_size, taps, xbc, conv);                \
    }                                                                                                     \
                                                                                                          \
    static EDGEBCI_KERNEL void name##_state(const edgebci_mamba2_t *m, const float *restrict u,           \
                                            state_t *restrict ssm, float *restrict y)                     \
    {                                                                                                     \
        const float *B = u + heads * headdim, *C = B + state_size, *dt = C + state_size;                  \
        advance(m, heads, headdim, state_size, u, B, C, dt, ssm, y);                                      \
    }                                                                                                     \
                                                                                                          \
    static EDGEBCI_KERNEL void name##_gate(const float *restrict z, float *restrict y)                    \
    {                                                                                                     \
        edgebci_mamba2_gate(z, heads * headdim, y);                                                       \
    }                                                                                                     \
                                                                                                          \
    static EDGEBCI_KERNEL void name(const edgebci_mamba2_t *m, float *restrict p, int16_t *restrict conv, \
                                    state_t *restrict ssm, float *restrict g)                             \
    {                                                                                                     \
        float *const u = p + heads * headdim;                                                             \
        name##_convolution(m, u, conv);                                                                   \
        name##_state(m, u, ssm, g);                                                                       \
        name##_gate(p, g);                                                                                \
    }

#define EDGEBCI_DEFINE_MAMBA2_STEP(name, heads, headdim, state_size, taps)                                             \
    EDGEBCI_DEFINE_MAMBA2_STEP_OF(int16_t, edgebci_mamba2_state, name, heads, headdim, state_size, taps)

#endif
