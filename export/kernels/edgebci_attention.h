/* The attentions of a decoder of spikes: edgebci.TokenAttention, edgebci.MemoryAttention; and edgebci.SiluQuantize.
 *
 * EDGEBCI_DEFINE_TOKEN_ATTENTION(name, most, steps, dim) defines `void name(t, tokens, x)`,
 * EDGEBCI_DEFINE_MEMORY_ATTENTION(name, k, width) `void name(a, rows, y)`,
 * EDGEBCI_DEFINE_SILU_QUANTIZE(name, n) `void name(x, inverse_scale, q)`.
 */
#ifndef EDGEBCI_ATTENTION_H
#define EDGEBCI_ATTENTION_H

#include <stdint.h>

#include "edgebci_math.h"

/* One spike: row of the tables, or -1 for none; step of its time within the chunk. */
typedef struct {
    int16_t unit;
    int16_t time_step;
} edgebci_token_t;

typedef struct {
    const int16_t *score; /* [rows][steps] */
    const int8_t *share;  /* [shares], by counts below the largest score; the last is 0 */
    const int8_t *value;  /* [rows][dim] */
    const float *latent;  /* [dim] */
    uint32_t shares;
    float value_scale;
} edgebci_token_attention_t;

typedef struct {
    const float *age; /* [k][width], for one count of a row */
    float scale;      /* one count of a row */
} edgebci_memory_attention_t;

static EDGEBCI_INLINE int32_t edgebci_token_score(const edgebci_token_attention_t *t, uint32_t steps,
                                                  edgebci_token_t token)
{
    return t->score[(uint32_t)token.unit * steps + (uint32_t)token.time_step];
}

/* x = latent + softmax-weighted sum of values, in integers but for the last line. At least one token is there. */
static EDGEBCI_INLINE void edgebci_token_attention(const edgebci_token_attention_t *t, uint32_t most, uint32_t steps,
                                                   uint32_t dim, const edgebci_token_t *tokens, int32_t *restrict sums,
                                                   float *restrict x)
{
    int32_t largest = -32768, total = 0;
    for (uint32_t i = 0; i < most; i++) {
        const int32_t score = tokens[i].unit < 0 ? -32768 : edgebci_token_score(t, steps, tokens[i]);
        largest = score > largest ? score : largest;
    }
    for (uint32_t d = 0; d < dim; d++) {
        sums[d] = 0;
    }
    for (uint32_t i = 0; i < most; i++) {
        if (tokens[i].unit < 0) {
            continue;
        }
        const uint32_t below = (uint32_t)(largest - edgebci_token_score(t, steps, tokens[i]));
        const int32_t share = t->share[below < t->shares ? below : t->shares - 1u];
        const int8_t *restrict value = t->value + (uint32_t)tokens[i].unit * dim;
        total += share;
        for (uint32_t d = 0; d < dim; d++) {
            sums[d] += share * value[d];
        }
    }
    const float unit_value = t->value_scale / (float)total;
    for (uint32_t d = 0; d < dim; d++) {
        x[d] = t->latent[d] + (float)sums[d] * unit_value;
    }
}

/* y = softmax over rows of age . row, times the rows [k][width], the newest first. */
static EDGEBCI_INLINE void edgebci_memory_attention(const edgebci_memory_attention_t *a, uint32_t k, uint32_t width,
                                                    const int8_t *restrict rows, float *restrict scores,
                                                    float *restrict y)
{
    float largest = 0.0f, total = 0.0f;
    for (uint32_t j = 0; j < k; j++) {
        scores[j] = edgebci_lane_dot_int8(a->age + j * width, rows + j * width, width);
        largest = j == 0 || scores[j] > largest ? scores[j] : largest;
    }
    for (uint32_t j = 0; j < k; j++) {
        const int8_t *restrict row = rows + j * width;
        const float share = edgebci_exp(scores[j] - largest);
        total = j == 0 ? share : total + share;
        for (uint32_t i = 0; i < width; i++) {
            y[i] = j == 0 ? share * (float)row[i] : y[i] + share * (float)row[i];
        }
    }
    const float scale = a->scale / total;
    for (uint32_t i = 0; i < width; i++) {
        y[i] = y[i] * scale;
    }
}

static EDGEBCI_INLINE void edgebci_silu_quantize(const float *restrict x, float inverse_scale, uint32_t n,
                                                 int8_t *restrict q)
{
    for (uint32_t i = 0; i < n; i++) {
        q[i] = edgebci_quantize_int8(edgebci_silu(x[i]), inverse_scale);
    }
}

#define EDGEBCI_DEFINE_TOKEN_ATTENTION(name, most, steps, dim)                                                    \
    static EDGEBCI_KERNEL void name(const edgebci_token_attention_t *t, const edgebci_token_t *tokens,            \
                                    float *restrict x)                                                            \
    {                                                                                                             \
        int32_t sums[dim];                                                                                        \
        edgebci_token_attention(t, most, steps, dim, tokens, sums, x);                                            \
    }

#define EDGEBCI_DEFINE_MEMORY_ATTENTION(name, k, width)                                                           \
    static EDGEBCI_KERNEL void name(const edgebci_memory_attention_t *a, const int8_t *restrict rows,             \
                                    float *restrict y)                                                            \
    {                                                                                                             \
        float scores[k];                                                                                          \
        edgebci_memory_attention(a, k, width, rows, scores, y);                                                   \
    }

#define EDGEBCI_DEFINE_SILU_QUANTIZE(name, n)                                                                     \
    static EDGEBCI_KERNEL void name(const float *restrict x, float inverse_scale, int8_t *restrict q)             \
    {                                                                                                             \
        edgebci_silu_quantize(x, inverse_scale, n, q);                                                            \
    }

#endif
