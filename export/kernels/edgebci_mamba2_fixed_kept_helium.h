/* What edgebci.Mamba2StepFixed keeps of the steps since a rewrite, on a core with Helium: the portable
 * edgebci_mamba2_fixed_kept.h says what is computed, and it is what a machine without Helium takes. Four heads go together,
 * or the four slots of a head. Nothing that is subnormal, which vectors take for 0, reaches a result.
 */
#ifndef EDGEBCI_MAMBA2_FIXED_KEPT_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_KEPT_HELIUM_H

#include "edgebci_helium.h"
#include "edgebci_mamba2_fixed_layer.h"

#if EDGEBCI_HAS_HELIUM
#include "edgebci_fixed_rounding.h"
#include "edgebci_math_helium.h"

/* dt of four heads. */
static EDGEBCI_INLINE float32x4_t edgebci_mamba2_fixed_dt(const edgebci_mamba2_fixed_t *m, uint32_t head,
                                                          const int16_t *dt_raw)
{
    const float32x4_t raw = vmulq_n_f32(vcvtq_f32_s32(vldrhq_s32(dt_raw + head)), EDGEBCI_GATE_UNIT);
    return edgebci_softplus_four(vaddq_f32(raw, vld1q_f32(m->dt_bias + head)));
}

/* Age the weights of all heads' slots; the newest becomes dt. heads are a multiple of 4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_age(const edgebci_mamba2_fixed_t *m, uint32_t heads, uint32_t slot,
                                                    const int16_t *dt_raw, float *kept)
{
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), 1u + EDGEBCI_SLOTS); /* of four heads */
    for (uint32_t head = 0; head < heads; head += 4, kept += 4u * (1u + EDGEBCI_SLOTS)) {
        const float32x4_t dt = edgebci_mamba2_fixed_dt(m, head, dt_raw);
        const float32x4_t decay = edgebci_exp_four(vmulq_f32(dt, vld1q_f32(m->A + head)));
        for (uint32_t j = 0; j < 1u + EDGEBCI_SLOTS; j++) {
            const float32x4_t before = vldrwq_gather_shifted_offset_f32(kept + j, places);
            const float32x4_t aged = edgebci_flush_four(vmulq_f32(before, decay));
            vstrwq_scatter_shifted_offset_f32(kept + j, places, j == 1u + slot ? dt : aged);
        }
    }
}

/* The weights W of one head's slots, as two pairs. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_weights(const edgebci_mamba2_fixed_t *m, uint32_t head, uint32_t slot,
                                                        const float *kept, const float *products, uint32_t *pairs)
{
    const mve_pred16_t now = (mve_pred16_t)(0xFu << 4u * slot);
    const float32x4_t skip = vdupq_m_n_f32(vdupq_n_f32(0.0f), m->skip[head], now);
    const float32x4_t recent = vmulq_n_f32(vmulq_f32(vld1q_f32(kept + 1), vld1q_f32(products)), m->readout);
    const int32x4_t W = edgebci_round_within_four(vaddq_f32(recent, skip), 8191);
    vstrhq_s32((int16_t *)(void *)pairs, W);
}

/* What four slots put into the state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_gains(const float *kept, float inject, int32_t *gain)
{
    const float32x4_t scaled = vmaxnmq_f32(vmulq_n_f32(vld1q_f32(kept), inject), vdupq_n_f32(0.0f));
    vst1q_s32(gain, vcvtq_s32_f32(vminnmq_f32(scaled, vdupq_n_f32(EDGEBCI_LARGEST_GAIN))));
}

#else
#include "edgebci_mamba2_fixed_kept.h"
#endif

#endif
