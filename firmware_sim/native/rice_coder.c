/* The coder of edgebci/firmware_sim/lossless.py: blocks of 16 differences in Rice codes, most significant bit first. */
#include <stdint.h>

enum { BLOCK = 16, PARAMETER_BITS = 4, PLAIN = 15, PLAIN_BITS = 17 };

typedef struct {
    uint32_t *words;
    uint32_t pending;
    uint32_t free_bits; /* of `pending`, 1 to 32 */
} Bits;

static void put(Bits *out, uint32_t value, uint32_t n)
{
    if (n < out->free_bits) {
        out->free_bits -= n;
        out->pending |= value << out->free_bits;
        return;
    }
    uint32_t rest = n - out->free_bits;
    *out->words++ = out->pending | (value >> rest);
    out->free_bits = 32U - rest;
    out->pending = rest ? value << out->free_bits : 0U;
}

static void put_ones(Bits *out, uint32_t n)
{
    for (; n >= 16U; n -= 16U)
        put(out, 0xffffU, 16U);
    if (n)
        put(out, (1U << n) - 1U, n);
}

static uint32_t parameter_of(const uint32_t *folded, uint32_t sum)
{
    uint32_t k = 0, bits = 0;
    while (k < PLAIN - 1 && sum > ((uint32_t)BLOCK << k))
        k++;
    for (uint32_t i = 0; i < BLOCK; i++)
        bits += folded[i] >> k;
    return bits + BLOCK * (1U + k) > BLOCK * PLAIN_BITS ? PLAIN : k;
}

static void put_block(Bits *out, const uint32_t *folded, uint32_t k)
{
    put(out, k, PARAMETER_BITS);
    for (uint32_t i = 0; i < BLOCK; i++) {
        if (k == PLAIN) {
            put(out, folded[i], PLAIN_BITS);
            continue;
        }
        put_ones(out, folded[i] >> k);
        put(out, folded[i] & ((1U << k) - 1U), k + 1U);
    }
}

/* Code `n` samples of one channel, a multiple of 16, into zero-padded words; returns the bits written. */
uint32_t edgebci_rice(const int16_t *samples, uint32_t n, uint32_t *words)
{
    Bits out = { words, 0U, 32U };
    int32_t previous = 0;
    for (uint32_t start = 0; start < n; start += BLOCK) {
        uint32_t folded[BLOCK], sum = 0;
        for (uint32_t i = 0; i < BLOCK; i++) {
            int32_t step = samples[start + i] - previous;
            previous = samples[start + i];
            folded[i] = ((uint32_t)step << 1) ^ (uint32_t)(step >> 31);
            sum += folded[i];
        }
        put_block(&out, folded, parameter_of(folded, sum));
    }
    *out.words = out.pending;
    return (uint32_t)(out.words - words) * 32U + 32U - out.free_bits;
}
