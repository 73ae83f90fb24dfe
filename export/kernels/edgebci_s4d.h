/* edgebci.S4DStep and edgebci.Glu: one step of one stream with int16 modes.
 *
 * EDGEBCI_DEFINE_S4D_STEP(name, width, modes) defines `void name(s, q, modes, g)` for one shape, and
 * EDGEBCI_DEFINE_GLU(name, n) `void name(p, y)`: y[i] = p[i] * sigmoid(p[n + i]).
 *
 *     q [width]                     in, int8, what the norm gave
 *     modes [width][2 * modes]      int16, real parts first, advanced in place
 *     g [width]                     out, float, gelu(y)
 */
#ifndef EDGEBCI_S4D_H
#define EDGEBCI_S4D_H

#include <stdint.h>

#include "edgebci_activations.h"

typedef struct {
    const float *decay_real; /* [width][modes] */
    const float *decay_imag; /* [width][modes] */
    const float *inject;     /* [width][modes], counts of the mode for one count of q */
    const float *read;       /* [width][2 * modes], what one count adds to y */
    const float *skip;       /* [width], what one count of q adds to y */
} edgebci_s4d_t;

/* One channel: turn, drive and round the modes; returns what they add to y. `first` is the channel's first mode. */
static EDGEBCI_INLINE float edgebci_s4d_channel(const edgebci_s4d_t *s, uint32_t first, uint32_t n, float u,
                                                int16_t *restrict h)
{
    const float *a = s->decay_real + first, *b = s->decay_imag + first, *in = s->inject + first;
    for (uint32_t j = 0; j < n; j++) {
        const float real = (float)h[j], imag = (float)h[n + j];
        h[j] = edgebci_quantize_int16((a[j] * real - b[j] * imag) + in[j] * u, 1.0f);
        h[n + j] = edgebci_quantize_int16(b[j] * real + a[j] * imag, 1.0f);
    }
    return edgebci_lane_dot_int16(s->read + 2u * first, h, 2u * n);
}

static EDGEBCI_INLINE void edgebci_s4d_step(const edgebci_s4d_t *s, uint32_t width, uint32_t n,
                                            const int8_t *restrict q, int16_t *restrict modes, float *restrict g)
{
    for (uint32_t c = 0; c < width; c++) {
        const float u = (float)q[c];
        const float y = edgebci_s4d_channel(s, c * n, n, u, modes + c * 2u * n) + s->skip[c] * u;
        g[c] = edgebci_gelu(y);
    }
}

static EDGEBCI_INLINE void edgebci_glu(const float *restrict p, uint32_t n, float *restrict y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = p[i] * edgebci_sigmoid(p[n + i]);
    }
}

#define EDGEBCI_DEFINE_S4D_STEP(name, width, n)                                                                   \
    static EDGEBCI_KERNEL void name(const edgebci_s4d_t *s, const int8_t *restrict q, int16_t *restrict modes,    \
                                    float *restrict g)                                                            \
    {                                                                                                             \
        edgebci_s4d_step(s, width, n, q, modes, g);                                                               \
    }

#define EDGEBCI_DEFINE_GLU(name, n)                                                                               \
    static EDGEBCI_KERNEL void name(const float *restrict p, float *restrict y)                                   \
    {                                                                                                             \
        edgebci_glu(p, n, y);                                                                                     \
    }

#endif
