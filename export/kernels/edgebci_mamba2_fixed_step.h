/* edgebci.Mamba2StepFixed: the step of a layer, from its parts, which edgebci_mamba2_fixed.h or
 * edgebci_mamba2_fixed_helium.h has. */
#ifndef EDGEBCI_MAMBA2_FIXED_STEP_H
#define EDGEBCI_MAMBA2_FIXED_STEP_H

#include "edgebci_fixed_rounding.h"
#include "edgebci_mamba2_fixed_layer.h"

/* y = C h + D x of all heads, y [heads * headdim] in 32 bits. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_read(const edgebci_mamba2_fixed_t *m, uint32_t heads, uint32_t headdim,
                                                     uint32_t n, uint32_t slot, const int16_t *ssm, const int16_t *x,
                                                     const int16_t *B, const int16_t *C, const float *kept,
                                                     int32_t *restrict y)
{
    int32_t sums[4];
    float products[EDGEBCI_SLOTS];
    edgebci_mamba2_fixed_rows(B, C, n, sums);
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        products[j] = (float)sums[j];
    }
    for (uint32_t head = 0; head < heads; head++, kept += 1u + EDGEBCI_SLOTS) {
        uint32_t w[3];
        edgebci_mamba2_fixed_weights(m, head, slot, kept, products, w);
        w[2] = (uint32_t)edgebci_truncate(kept[0] * m->state_gain[head], EDGEBCI_LARGEST_GAIN);
        edgebci_mamba2_fixed_read_head(headdim, n, w, ssm, C, x, y);
        ssm += n * headdim;
        x += EDGEBCI_SLOTS * headdim;
        y += headdim;
    }
}

/* Rewrite the states of the heads whose turn it is. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rewrite(const edgebci_mamba2_fixed_t *m, uint32_t heads,
                                                        uint32_t headdim, uint32_t n, uint32_t slot, int16_t *ssm,
                                                        const int16_t *x, const int16_t *B, float *kept,
                                                        edgebci_folded_t *restrict folded)
{
    for (uint32_t head = slot; head < heads; head += EDGEBCI_SLOTS) {
        float *const own = kept + (1u + EDGEBCI_SLOTS) * head;
        int32_t gain[EDGEBCI_SLOTS];
        edgebci_mamba2_fixed_gains(own + 1, m->inject[head], gain);
        for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
            own[1u + j] = 0.0f;
        }
        edgebci_mamba2_fixed_fold(n, gain, B, folded);
        const int32_t scale = edgebci_truncate(own[0] * 0x1.0p28f, 0x1.0p28f);
        own[0] = 1.0f;
        const uint32_t row = headdim * head;
        edgebci_mamba2_fixed_inject(headdim, n, scale, x + EDGEBCI_SLOTS * row, folded, ssm + n * row);
    }
}

#define EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps)                                           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_mamba2_fixed_t *m, uint32_t phase, const int16_t *xbc,\
                                                  int16_t *conv, int16_t *x, int16_t *B, int16_t *C)                  \
    {                                                                                                                 \
        const uint32_t inner = heads * headdim, n = state_size, all = inner + 2u * n, slot = phase % EDGEBCI_SLOTS;   \
        edgebci_mamba2_fixed_channels(m, phase, 0, inner, all, taps, xbc, conv, x + slot, EDGEBCI_SLOTS);             \
        edgebci_mamba2_fixed_channels(m, phase, inner, n, all, taps, xbc, conv, B + slot * n, 1);                     \
        edgebci_mamba2_fixed_channels(m, phase, inner + n, n, all, taps, xbc, conv, C, 1);                            \
        edgebci_mamba2_fixed_limit(n, m->c_shift, C);                                                                 \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_age(const edgebci_mamba2_fixed_t *m, uint32_t slot, const int16_t *dt_raw,      \
                                          float *kept)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_age(m, heads, slot, dt_raw, kept);                                                       \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_read(const edgebci_mamba2_fixed_t *m, uint32_t slot, const int16_t *ssm,        \
                                           const int16_t *x, const int16_t *B, const int16_t *C, const float *kept,   \
                                           int32_t *y)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_read(m, heads, headdim, state_size, slot, ssm, x, B, C, kept, y);                        \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_rewrite(const edgebci_mamba2_fixed_t *m, uint32_t slot, int16_t *ssm,           \
                                              const int16_t *x, const int16_t *B, float *kept)                        \
    {                                                                                                                 \
        edgebci_folded_t folded[EDGEBCI_SLOTS * state_size] EDGEBCI_ALIGNED;                                          \
        edgebci_mamba2_fixed_rewrite(m, heads, headdim, state_size, slot, ssm, x, B, kept, folded);                   \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_gate(const edgebci_mamba2_fixed_t *m, const int16_t *z, const int32_t *y,       \
                                           int16_t *g)                                                                \
    {                                                                                                                 \
        edgebci_mamba2_fixed_gate(m, heads * headdim, z, y, g);                                                       \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name(const edgebci_mamba2_fixed_t *m, const int16_t *p, int16_t *conv, int16_t *ssm,   \
                                    int16_t *x, int16_t *B, float *kept, int32_t *phase, int16_t *g)                  \
    {                                                                                                                 \
        const uint32_t inner = heads * headdim, step = (uint32_t)phase[0], slot = step % EDGEBCI_SLOTS;               \
        int16_t C[state_size] EDGEBCI_ALIGNED;                                                                        \
        int32_t y[heads * headdim];                                                                                   \
        name##_convolution(m, step, p + inner, conv, x, B, C);                                                        \
        name##_age(m, slot, p + 2u * inner + 2u * state_size, kept);                                                  \
        name##_read(m, slot, ssm, x, B, C, kept, y);                                                                  \
        name##_rewrite(m, slot, ssm, x, B, kept);                                                                     \
        name##_gate(m, p, y, g);                                                                                      \
        phase[0] = (int32_t)((step + 1u) % taps);                                                                     \
    }

#endif
