/* edgebci.S4DStepInt8: edgebci.S4DStep with modes in int8.
 *
 * EDGEBCI_DEFINE_S4D_STEP_INT8(name, width, modes) defines `void name(s, q, modes, g)` as edgebci_s4d.h does, with
 * modes [width][2 * modes] in int8.
 */
#ifndef EDGEBCI_S4D_INT8_H
#define EDGEBCI_S4D_INT8_H

#include <stdint.h>

#include "edgebci_s4d.h"

/* One channel: turn, drive and round the modes; returns what they add to y. `first` is the channel's first mode. */
static EDGEBCI_INLINE float edgebci_s4d_channel_int8(const edgebci_s4d_t *s, uint32_t first, uint32_t n, float u,
                                                     int8_t *restrict h)
{
    const float *a = s->decay_real + first, *b = s->decay_imag + first, *in = s->inject + first;
    for (uint32_t j = 0; j < n; j++) {
        const float real = (float)h[j], imag = (float)h[n + j];
        h[j] = edgebci_quantize_int8((a[j] * real - b[j] * imag) + in[j] * u, 1.0f);
        h[n + j] = edgebci_quantize_int8(b[j] * real + a[j] * imag, 1.0f);
    }
    return edgebci_lane_dot_int8(s->read + 2u * first, h, 2u * n);
}

static EDGEBCI_INLINE void edgebci_s4d_step_int8(const edgebci_s4d_t *s, uint32_t width, uint32_t n,
                                                 const int8_t *restrict q, int8_t *restrict modes, float *restrict g)
{
    for (uint32_t c = 0; c < width; c++) {
        const float u = (float)q[c];
        const float y = edgebci_s4d_channel_int8(s, c * n, n, u, modes + c * 2u * n) + s->skip[c] * u;
        g[c] = edgebci_gelu(y);
    }
}

#define EDGEBCI_DEFINE_S4D_STEP_INT8(name, width, n)                                                              \
    static EDGEBCI_KERNEL void name(const edgebci_s4d_t *s, const int8_t *restrict q, int8_t *restrict modes,     \
                                    float *restrict g)                                                            \
    {                                                                                                             \
        edgebci_s4d_step_int8(s, width, n, q, modes, g);                                                          \
    }

#endif
