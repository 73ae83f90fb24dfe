/* edgebci.SiluTokenizerStep and edgebci.GeluTokenizerStep of the float32 decoder; see edgebci_float.h for its rules.
 *
 *     frame [channels]; conv [channels][taps - 1], oldest first, mean [channels] and weight [1] advanced in place;
 *     g [channels][features]
 */
#ifndef EDGEBCI_FLOAT_TOKENIZER_H
#define EDGEBCI_FLOAT_TOKENIZER_H

#include <stdint.h>

#include "edgebci_activations.h"

typedef struct {
    const float *conv_weight; /* [features][taps], oldest tap first, the same for every channel */
    const float *conv_bias;   /* [features] */
    const float *attention;   /* [neighbours], odd */
    float keep;               /* of the weight, each frame */
} edgebci_float_tokenizer_t;

/* Causal convolution of every channel and activation; shifts the windows by one. */
static EDGEBCI_INLINE void edgebci_float_tokenizer_convolution(const edgebci_float_tokenizer_t *t, uint32_t channels,
                                                               uint32_t features, uint32_t taps,
                                                               float (*activate)(float), const float *restrict frame,
                                                               float *restrict conv, float *restrict values)
{
    const uint32_t past = taps - 1u;
    for (uint32_t c = 0; c < channels; c++, conv += past) {
        for (uint32_t e = 0; e < features; e++) {
            const float *restrict w = t->conv_weight + e * taps;
            float sum = conv[0] * w[0];
            for (uint32_t k = 1; k < past; k++) {
                sum += conv[k] * w[k];
            }
            values[c * features + e] = activate((sum + frame[c] * w[past]) + t->conv_bias[e]);
        }
        for (uint32_t k = 1; k < past; k++) {
            conv[k - 1u] = conv[k];
        }
        conv[past - 1u] = frame[c];
    }
}

/* The exponential mean over time of each channel's mean over features. */
static EDGEBCI_INLINE void edgebci_float_tokenizer_mean(const edgebci_float_tokenizer_t *t, uint32_t channels,
                                                        uint32_t features, const float *restrict values,
                                                        float *restrict mean, float *restrict weight)
{
    weight[0] = t->keep * weight[0] + 1.0f;
    const float rate = 1.0f / weight[0], share = 1.0f / (float)features;
    for (uint32_t c = 0; c < channels; c++, values += features) {
        float total = values[0];
        for (uint32_t e = 1; e < features; e++) {
            total += values[e];
        }
        mean[c] = edgebci_flush(mean[c] + (total * share - mean[c]) * rate);
    }
}

/* values *= sigmoid(sum over neighbouring channels of attention * mean). */
static EDGEBCI_INLINE void edgebci_float_tokenizer_gate(const edgebci_float_tokenizer_t *t, uint32_t channels,
                                                        uint32_t features, uint32_t neighbours,
                                                        const float *restrict mean, float *restrict values)
{
    const uint32_t around = neighbours / 2u;
    for (uint32_t c = 0; c < channels; c++, values += features) {
        float total = 0.0f;
        for (uint32_t k = 0; k < neighbours; k++) {
            const uint32_t j = c + k; /* the channel, and `around` more */
            if (j >= around && j < channels + around) {
                total += t->attention[k] * mean[j - around];
            }
        }
        const float gate = edgebci_sigmoid(total);
        for (uint32_t e = 0; e < features; e++) {
            values[e] = values[e] * gate;
        }
    }
}

#define EDGEBCI_DEFINE_FLOAT_TOKENIZER_STEP(name, channels, features, taps, neighbours, activate)                 \
    static EDGEBCI_KERNEL void name(const edgebci_float_tokenizer_t *t, const float *restrict frame,              \
                                    float *restrict conv, float *restrict mean, float *restrict weight,           \
                                    float *restrict g)                                                            \
    {                                                                                                             \
        edgebci_float_tokenizer_convolution(t, channels, features, taps, activate, frame, conv, g);               \
        edgebci_float_tokenizer_mean(t, channels, features, g, mean, weight);                                     \
        edgebci_float_tokenizer_gate(t, channels, features, neighbours, mean, g);                                 \
    }

#endif
