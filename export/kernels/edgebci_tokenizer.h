/* edgebci.SiluTokenizerStep and edgebci.GeluTokenizerStep: one frame of one stream to gated features.
 *
 * EDGEBCI_DEFINE_TOKENIZER_STEP(name, channels, features, taps, neighbours, activate) defines the kernel for one shape,
 * `void name(t, frame, conv, mean, weight, g)`, and its parts as functions of their own, name_convolution, name_mean and
 * name_gate, so that a profile tells them apart.
 *
 *     frame [channels]              in, float
 *     conv [channels][taps - 1]     int16, oldest first, advanced in place
 *     mean [channels]               int32, counts of mean_scale, advanced in place
 *     weight [1]                    int32, what the mean rests on, counts of 1 / unit
 *     g [channels][features]        out, float
 */
#ifndef EDGEBCI_TOKENIZER_H
#define EDGEBCI_TOKENIZER_H

#include <stdint.h>

#include "edgebci_activations.h"

#define EDGEBCI_MEAN_HIGHEST 524288.0f /* 2^19 */

typedef struct {
    const int8_t *conv_weight;       /* [features][taps], oldest tap first, the same for every channel */
    const float *conv_inverse_scale; /* [channels] to the int16 window */
    const float *conv_out_scale;     /* [channels][features] from the int32 sum */
    const float *conv_bias;          /* [features] */
    const float *attention;          /* [neighbours], odd */
    float mean_scale;
    float mean_inverse_scale;
    float keep; /* of the weight, each frame */
    float unit; /* weight of one frame */
} edgebci_tokenizer_t;

/* Causal convolution of every channel and activation; shifts the windows by one. */
static EDGEBCI_INLINE void edgebci_tokenizer_convolution(const edgebci_tokenizer_t *t, uint32_t channels,
                                                         uint32_t features, uint32_t taps, float (*activate)(float),
                                                         const float *restrict frame, int16_t *restrict conv,
                                                         float *restrict values)
{
    const uint32_t past = taps - 1u;
    for (uint32_t c = 0; c < channels; c++, conv += past) {
        const int16_t newest = edgebci_quantize_int16(frame[c], t->conv_inverse_scale[c]);
        for (uint32_t e = 0; e < features; e++) {
            const int8_t *restrict w = t->conv_weight + e * taps;
            int32_t sum = w[past] * newest;
            for (uint32_t k = 0; k < past; k++) {
                sum += w[k] * conv[k];
            }
            const uint32_t i = c * features + e;
            values[i] = activate((float)sum * t->conv_out_scale[i] + t->conv_bias[e]);
        }
        for (uint32_t k = 1; k < past; k++) {
            conv[k - 1] = conv[k];
        }
        conv[past - 1] = newest;
    }
}

/* The exponential mean over time of each channel's mean over features. */
static EDGEBCI_INLINE void edgebci_tokenizer_mean(const edgebci_tokenizer_t *t, uint32_t channels, uint32_t features,
                                                  const float *restrict values, int32_t *restrict mean,
                                                  int32_t *restrict weight)
{
    weight[0] = edgebci_round(t->keep * (float)weight[0] + t->unit);
    const float rate = t->unit / (float)weight[0], share = 1.0f / (float)features;
    for (uint32_t c = 0; c < channels; c++, values += features) {
        float total = values[0];
        for (uint32_t e = 1; e < features; e++) {
            total += values[e];
        }
        const float x = (total * share) * t->mean_inverse_scale, before = (float)mean[c];
        const float moved = before + (x - before) * rate;
        mean[c] = edgebci_round(edgebci_clamp(moved, -EDGEBCI_MEAN_HIGHEST, EDGEBCI_MEAN_HIGHEST));
    }
}

/* values *= sigmoid(sum over neighbouring channels of attention * mean). */
static EDGEBCI_INLINE void edgebci_tokenizer_gate(const edgebci_tokenizer_t *t, uint32_t channels, uint32_t features,
                                                  uint32_t neighbours, const int32_t *restrict mean,
                                                  float *restrict values)
{
    const uint32_t around = neighbours / 2u;
    for (uint32_t c = 0; c < channels; c++, values += features) {
        float total = 0.0f;
        for (uint32_t k = 0; k < neighbours; k++) {
            const uint32_t j = c + k; /* the channel, and `around` more */
            if (j >= around && j < channels + around) {
                total += t->attention[k] * ((float)mean[j - around] * t->mean_scale);
            }
        }
        const float gate = edgebci_sigmoid(total);
        for (uint32_t e = 0; e < features; e++) {
            values[e] = values[e] * gate;
        }
    }
}

#define EDGEBCI_DEFINE_TOKENIZER_STEP(name, channels, features, taps, neighbours, activate)                           \
    static EDGEBCI_KERNEL void name##_convolution(const edgebci_tokenizer_t *t, const float *restrict frame,          \
                                                  int16_t *restrict conv, float *restrict g)                          \
    {                                                                                                                 \
        edgebci_tokenizer_convolution(t, channels, features, taps, activate, frame, conv, g);                         \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_mean(const edgebci_tokenizer_t *t, const float *restrict g,                     \
                                           int32_t *restrict mean, int32_t *restrict weight)                          \
    {                                                                                                                 \
        edgebci_tokenizer_mean(t, channels, features, g, mean, weight);                                               \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name##_gate(const edgebci_tokenizer_t *t, const int32_t *restrict mean,                \
                                           float *restrict g)                                                         \
    {                                                                                                                 \
        edgebci_tokenizer_gate(t, channels, features, neighbours, mean, g);                                           \
    }                                                                                                                 \
                                                                                                                      \
    static EDGEBCI_KERNEL void name(const edgebci_tokenizer_t *t, const float *restrict frame,                        \
                                    int16_t *restrict conv, int32_t *restrict mean, int32_t *restrict weight,         \
                                    float *restrict g)                                                                \
    {                                                                                                                 \
        name##_convolution(t, frame, conv, g);                                                                        \
        name##_mean(t, g, mean, weight);                                                                              \
        name##_gate(t, mean, g);                                                                                      \
    }

#endif
