/* What edgebci.Mamba2StepFixed keeps of the steps since a rewrite, and how its output weighs them. */
#ifndef EDGEBCI_MAMBA2_FIXED_KEPT_H
#define EDGEBCI_MAMBA2_FIXED_KEPT_H

#include "edgebci_fixed_rounding.h"
#include "edgebci_mamba2_fixed_layer.h"

/* Age the weights of all heads' slots; the newest becomes dt. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_age(const edgebci_mamba2_fixed_t *m, uint32_t heads, uint32_t slot,
                                                    const int16_t *dt_raw, float *kept)
{
    for (uint32_t head = 0; head < heads; head++, kept += 1u + EDGEBCI_SLOTS) {
        const float dt = edgebci_softplus((float)dt_raw[head] * EDGEBCI_GATE_UNIT + m->dt_bias[head]);
        const float decay = edgebci_exp(dt * m->A[head]);
        for (uint32_t j = 0; j < 1u + EDGEBCI_SLOTS; j++) {
            kept[j] = edgebci_flush(kept[j] * decay);
        }
        kept[1u + slot] = dt;
    }
}

/* The weights W of one head's slots, as two pairs. */
static inline void edgebci_mamba2_fixed_weights(const edgebci_mamba2_fixed_t *m, uint32_t head, uint32_t slot,
                                                const float *kept, const float *products, uint32_t *pairs)
{
    int32_t W[EDGEBCI_SLOTS];
    float skip[EDGEBCI_SLOTS];
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        skip[j] = 0.0f;
    }
    skip[slot] = m->skip[head];
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        const float w = (kept[1u + j] * products[j]) * m->readout + skip[j];
        W[j] = edgebci_round_within(w, 8191);
    }
    pairs[0] = edgebci_pair(W[0], W[1]);
    pairs[1] = edgebci_pair(W[2], W[3]);
}

/* What four slots put into the state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gains(const float *kept, float inject, int32_t *gain)
{
    for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
        gain[j] = edgebci_truncate(kept[j] * inject, EDGEBCI_LARGEST_GAIN);
    }
}

#endif
