/* More functions in the arithmetic of the device: the C twin of edgebci/operators/activations.py, equal bit for bit. */
#ifndef EDGEBCI_ACTIVATIONS_H
#define EDGEBCI_ACTIVATIONS_H

#include "edgebci_math.h"

/* 1 / (1 + e^-x); 0 at and below -46. */
static inline float edgebci_sigmoid(float x)
{
    const float value = 1.0f / (1.0f + edgebci_exp(-x));
    return x > EDGEBCI_EXP_LOWEST ? value : 0.0f;
}

/* 1 - 2 / (1 + e^2x). */
static inline float edgebci_tanh(float x)
{
    return 1.0f - 2.0f / (1.0f + edgebci_exp(x + x));
}

/* x (1 + erf(x / sqrt(2))) / 2 with the error function of Abramowitz and Stegun, 7.1.26; 0 from -12 down. */
static inline float edgebci_gelu(float x)
{
    const float bounded = edgebci_clamp(edgebci_abs(x) * EDGEBCI_SQRT_HALF, 0.0f, 9.0f);
    const float t = 1.0f / (1.0f + 0x1.4f740ap-2f * bounded);
    float p = 0x1.0fb844p+0f;
    p = p * t + (-0x1.7401c6p+0f);
    p = p * t + 0x1.6be1c6p+0f;
    p = p * t + (-0x1.23531cp-2f);
    p = p * t + 0x1.04f20cp-2f;
    const float tail = 0.5f * ((p * t) * edgebci_exp(-(bounded * bounded)));
    const float share = x > 0.0f ? 1.0f - tail : tail;
    return x > -12.0f ? x * share : 0.0f;
}

#endif
