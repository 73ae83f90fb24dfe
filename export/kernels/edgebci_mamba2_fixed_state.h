/* The state of edgebci.Mamba2StepFixed: read at every step, rewritten at every fourth. */
#ifndef EDGEBCI_MAMBA2_FIXED_STATE_H
#define EDGEBCI_MAMBA2_FIXED_STATE_H

#include "edgebci_mamba2_fixed_layer.h"

typedef int16_t edgebci_folded_t; /* [n][4] */

/* C times four rows of n elements. Two elements of each take 5 loads and 4 multiply-accumulates: 10 cycles on a
 * Cortex-M4. */
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_FOUR_ROWS                                                                                             \
    "ldr %[h1], [%[h], %[r1]]\n\tldr %[h2], [%[h], %[r2]]\n\tldr %[h3], [%[h], %[r3]]\n\tldr %[h0], [%[h]], #4\n\t"     \
    "ldr %[v], [%[c]], #4\n\t"                                                                                        \
    "smlad %[s0], %[h0], %[v], %[s0]\n\tsmlad %[s1], %[h1], %[v], %[s1]\n\t"                                          \
    "smlad %[s2], %[h2], %[v], %[s2]\n\tsmlad %[s3], %[h3], %[v], %[s3]\n\t"

static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    uint32_t h0, h1, h2, h3, v;
    for (const int16_t *const end = h + n; h != end;) {
        __asm__ volatile(EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS EDGEBCI_FOUR_ROWS
                         : [h0] "=&r"(h0), [h1] "=&r"(h1), [h2] "=&r"(h2), [h3] "=&r"(h3), [v] "=&r"(v),
                           [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3), [h] "+&r"(h), [c] "+&r"(C)
                         : [r1] "i"(2u * n), [r2] "i"(4u * n), [r3] "i"(6u * n)
                         : "memory");
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#else
static EDGEBCI_INLINE void edgebci_mamba2_fixed_rows(const int16_t *h, const int16_t *C, uint32_t n, int32_t *sums)
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t j = 0; j < n; j += 2) {
        const uint32_t c = edgebci_load_pair(C + j);
        s0 = edgebci_smlad(edgebci_load_pair(h + j), c, s0);
        s1 = edgebci_smlad(edgebci_load_pair(h + n + j), c, s1);
        s2 = edgebci_smlad(edgebci_load_pair(h + 2u * n + j), c, s2);
        s3 = edgebci_smlad(edgebci_load_pair(h + 3u * n + j), c, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#endif

/* y of two rows: gain times C h, and W times the x of the slots. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_outputs(const int16_t *x, const uint32_t *W, int32_t gain,
                                                        const int32_t *sums, int32_t *y)
{
    uint32_t a01 = edgebci_load_pair(x), a23 = edgebci_load_pair(x + 2);
    uint32_t b01 = edgebci_load_pair(x + 4), b23 = edgebci_load_pair(x + 6);
    EDGEBCI_LOADED_4(a01, a23, b01, b23);
    const int32_t recent_a = edgebci_smlad(W[1], a23, edgebci_smlad(W[0], a01, 0));
    const int32_t recent_b = edgebci_smlad(W[1], b23, edgebci_smlad(W[0], b01, 0));
    y[0] = edgebci_smmlar(sums[0], gain, recent_a);
    y[1] = edgebci_smmlar(sums[1], gain, recent_b);
}

/* The same for four rows of 16, sums over the state and all; w holds W in two pairs, and the gain. One piece: nothing is
 * cleared, no pointer moves, no sum goes through memory. 111 cycles on a Cortex-M4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_short_rows(const int16_t *h, const int16_t *C, const int16_t *x,
                                                           const uint32_t *w, int32_t *y)
{
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_BEGINS(s, h) "smuad %[" s "], %[" h "], %[v]\n\t"
#define EDGEBCI_GOES_ON(s, h) "smlad %[" s "], %[" h "], %[v], %[" s "]\n\t"
#define EDGEBCI_PAIR_OF_FOUR(at, op)                                                                                  \
    "ldr %[v], [%[c], #" #at "]\n\tldr %[h0], [%[h], #" #at "]\n\tldr %[h1], [%[h], #" #at "+32]\n\t"                 \
    "ldr %[h2], [%[h], #" #at "+64]\n\tldr %[h3], [%[h], #" #at "+96]\n\t" op("s0", "h0") op("s1", "h1")               \
        op("s2", "h2") op("s3", "h3")
#define EDGEBCI_RING(s) "smuad %[h2], %[v], %[h2]\n\tsmlad %[h2], %[h0], %[h3], %[h2]\n\t"                            \
    "smmlar %[" s "], %[" s "], %[h1], %[h2]\n\t"
#define EDGEBCI_LOAD_RING(at) "ldr %[h2], [%[x], #" #at "]\n\tldr %[h3], [%[x], #" #at "+4]\n\t"
    uint32_t h0, h1, h2, h3, v;
    int32_t s0, s1, s2, s3;
    __asm__ volatile(
        EDGEBCI_PAIR_OF_FOUR(0, EDGEBCI_BEGINS) EDGEBCI_PAIR_OF_FOUR(4, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(8, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(12, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(16, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(20, EDGEBCI_GOES_ON)
        EDGEBCI_PAIR_OF_FOUR(24, EDGEBCI_GOES_ON) EDGEBCI_PAIR_OF_FOUR(28, EDGEBCI_GOES_ON)
        "ldr %[v], [%[w]]\n\tldr %[h0], [%[w], #4]\n\tldr %[h1], [%[w], #8]\n\t" EDGEBCI_LOAD_RING(0) EDGEBCI_RING("s0")
        EDGEBCI_LOAD_RING(8) EDGEBCI_RING("s1") EDGEBCI_LOAD_RING(16) EDGEBCI_RING("s2")
        EDGEBCI_LOAD_RING(24) EDGEBCI_RING("s3")
        "str %[s0], [%[y]]\n\tstr %[s1], [%[y], #4]\n\tstr %[s2], [%[y], #8]\n\tstr %[s3], [%[y], #12]"
        : [h0] "=&r"(h0), [h1] "=&r"(h1), [h2] "=&r"(h2), [h3] "=&r"(h3), [v] "=&r"(v), [s0] "=&r"(s0), [s1] "=&r"(s1),
          [s2] "=&r"(s2), [s3] "=&r"(s3)
        : [h] "r"(h), [c] "r"(C), [x] "r"(x), [w] "r"(w), [y] "r"(y)
        : "memory");
#else
    int32_t sums[4];
    edgebci_mamba2_fixed_rows(h, C, 16, sums);
    edgebci_mamba2_fixed_outputs(x, w, (int32_t)w[2], sums, y);
    edgebci_mamba2_fixed_outputs(x + 2u * EDGEBCI_SLOTS, w, (int32_t)w[2], sums + 2, y + 2);
#endif
}

/* y of one head; w holds W in two pairs, and the gain. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_read_head(uint32_t headdim, uint32_t n, const uint32_t *w,
                                                          const int16_t *ssm, const int16_t *C, const int16_t *x,
                                                          int32_t *restrict y)
{
    int32_t sums[4];
    for (uint32_t i = 0; i < headdim; i += 4, ssm += 4u * n, x += 4u * EDGEBCI_SLOTS, y += 4) {
        if (n == 16) {
            edgebci_mamba2_fixed_short_rows(ssm, C, x, w, y);
            continue;
        }
        edgebci_mamba2_fixed_rows(ssm, C, n, sums);
        edgebci_mamba2_fixed_outputs(x, w, (int32_t)w[2], sums, y);
        edgebci_mamba2_fixed_outputs(x + 2u * EDGEBCI_SLOTS, w, (int32_t)w[2], sums + 2, y + 2);
    }
}

/* One row of n elements: h := s h + sum of w_j x_j B_j, rounded. x01, x23 are the row's x of all slots; folded [n][4]
 * holds w_j B_j. Two elements take 5 loads and 6 multiply-accumulates: 16 cycles on a Cortex-M4. */
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_REWRITE_TWO                                                                                           \
    "ldr %[v], [%[h]]\n\tldr %[f23], [%[f], #4]\n\tldr %[g01], [%[f], #8]\n\tldr %[g23], [%[f], #12]\n\t"             \
    "ldr %[f01], [%[f]], #16\n\t"                                                                                     \
    "smlawb %[low], %[s], %[v], %[half]\n\tsmlawt %[v], %[s], %[v], %[half]\n\t"                                      \
    "smlad %[low], %[x01], %[f01], %[low]\n\tsmlad %[v], %[x01], %[g01], %[v]\n\t"                                    \
    "smlad %[low], %[x23], %[f23], %[low]\n\tsmlad %[v], %[x23], %[g23], %[v]\n\t"                                    \
    "ssat %[low], #16, %[low], asr #12\n\tssat %[v], #16, %[v], asr #12\n\t"                                          \
    "pkhbt %[v], %[low], %[v], lsl #16\n\tstr %[v], [%[h]], #4\n\t"

static EDGEBCI_INLINE void edgebci_mamba2_fixed_row(uint32_t n, int32_t scale, uint32_t x01, uint32_t x23,
                                                    const int16_t *folded, int16_t *h)
{
    const int32_t half = 2048;
    uint32_t v, low, f01, f23, g01, g23;
    for (const int16_t *const end = h + n; h != end;) {
        __asm__ volatile(EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO EDGEBCI_REWRITE_TWO
                         : [v] "=&r"(v), [low] "=&r"(low), [f01] "=&r"(f01), [f23] "=&r"(f23), [g01] "=&r"(g01),
                           [g23] "=&r"(g23), [h] "+&r"(h), [f] "+&r"(folded)
                         : [s] "r"(scale), [half] "r"(half), [x01] "r"(x01), [x23] "r"(x23)
                         : "memory");
    }
}
#else
static EDGEBCI_INLINE void edgebci_mamba2_fixed_row(uint32_t n, int32_t scale, uint32_t x01, uint32_t x23,
                                                    const int16_t *folded, int16_t *h)
{
    for (uint32_t j = 0; j < n; j += 2, folded += 2u * EDGEBCI_SLOTS) {
        const uint32_t pair = edgebci_load_pair(h + j);
        int32_t low = edgebci_smlawb(scale, pair, 2048), high = edgebci_smlawt(scale, pair, 2048);
        low = edgebci_smlad(x01, edgebci_load_pair(folded), low);
        low = edgebci_smlad(x23, edgebci_load_pair(folded + 2), low);
        high = edgebci_smlad(x01, edgebci_load_pair(folded + 4), high);
        high = edgebci_smlad(x23, edgebci_load_pair(folded + 6), high);
        edgebci_store_pair(h + j, edgebci_pair(edgebci_ssat16(low >> 12), edgebci_ssat16(high >> 12)));
    }
}
#endif

/* Two rows of 16 that share the loads of w_j B_j: 28 cycles for four elements on a Cortex-M4. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_two_rows(int32_t scale, const int16_t *x, const int16_t *folded, int16_t *h)
{
#if EDGEBCI_LOADS_TOGETHER
#define EDGEBCI_REWRITE_FOUR(at, f)                                                                                   \
    "ldr %[a], [%[h], #" #at "]\n\tldr %[b], [%[h], #" #at "+32]\n\tldr %[f01], [%[f], #" #f "]\n\t"                 \
    "ldr %[f23], [%[f], #" #f "+4]\n\tsmlawb %[p], %[s], %[a], %[half]\n\tsmlawb %[q], %[s], %[b], %[half]\n\t"      \
    "smlad %[p], %[a01], %[f01], %[p]\n\tsmlad %[q], %[b01], %[f01], %[q]\n\t"                                       \
    "smlad %[p], %[a23], %[f23], %[p]\n\tsmlad %[q], %[b23], %[f23], %[q]\n\t"                                       \
    "ldr %[f01], [%[f], #" #f "+8]\n\tldr %[f23], [%[f], #" #f "+12]\n\t"                                            \
    "smlawt %[a], %[s], %[a], %[half]\n\tsmlawt %[b], %[s], %[b], %[half]\n\t"                                       \
    "smlad %[a], %[a01], %[f01], %[a]\n\tsmlad %[b], %[b01], %[f01], %[b]\n\t"                                       \
    "smlad %[a], %[a23], %[f23], %[a]\n\tsmlad %[b], %[b23], %[f23], %[b]\n\t"                                       \
    "ssat %[p], #16, %[p], asr #12\n\tssat %[a], #16, %[a], asr #12\n\tssat %[q], #16, %[q], asr #12\n\t"            \
    "ssat %[b], #16, %[b], asr #12\n\tpkhbt %[a], %[p], %[a], lsl #16\n\tpkhbt %[b], %[q], %[b], lsl #16\n\t"        \
    "str %[a], [%[h], #" #at "]\n\tstr %[b], [%[h], #" #at "+32]\n\t"
    const uint32_t a01 = edgebci_load_pair(x), a23 = edgebci_load_pair(x + 2);
    const uint32_t b01 = edgebci_load_pair(x + 4), b23 = edgebci_load_pair(x + 6);
    uint32_t a, b, p, q, f01, f23;
    __asm__ volatile(EDGEBCI_REWRITE_FOUR(0, 0) EDGEBCI_REWRITE_FOUR(4, 16) EDGEBCI_REWRITE_FOUR(8, 32)
                         EDGEBCI_REWRITE_FOUR(12, 48) EDGEBCI_REWRITE_FOUR(16, 64) EDGEBCI_REWRITE_FOUR(20, 80)
                             EDGEBCI_REWRITE_FOUR(24, 96) EDGEBCI_REWRITE_FOUR(28, 112)
                     : [a] "=&r"(a), [b] "=&r"(b), [p] "=&r"(p), [q] "=&r"(q), [f01] "=&r"(f01), [f23] "=&r"(f23)
                     : [h] "r"(h), [f] "r"(folded), [s] "r"(scale), [half] "r"(2048), [a01] "r"(a01), [a23] "r"(a23),
                       [b01] "r"(b01), [b23] "r"(b23)
                     : "memory");
#else
    edgebci_mamba2_fixed_row(16, scale, edgebci_load_pair(x), edgebci_load_pair(x + 2), folded, h);
    edgebci_mamba2_fixed_row(16, scale, edgebci_load_pair(x + 4), edgebci_load_pair(x + 6), folded, h + 16);
#endif
}

/* One head: every row of its state. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_inject(uint32_t headdim, uint32_t n, int32_t scale, const int16_t *x,
                                                       const int16_t *folded, int16_t *h)
{
    if (n == 16) {
        for (uint32_t i = 0; i < headdim; i += 2, x += 2u * EDGEBCI_SLOTS, h += 2u * n) {
            edgebci_mamba2_fixed_two_rows(scale, x, folded, h);
        }
        return;
    }
    for (uint32_t i = 0; i < headdim; i++, x += EDGEBCI_SLOTS, h += n) {
        edgebci_mamba2_fixed_row(n, scale, edgebci_load_pair(x), edgebci_load_pair(x + 2), folded, h);
    }
}

/* w_j B_j as the rows take it: the four slots' of one element lie together. */
static EDGEBCI_INLINE void edgebci_mamba2_fixed_fold(uint32_t n, const int32_t *gain, const int16_t *B,
                                                     edgebci_folded_t *restrict folded)
{
    for (uint32_t i = 0; i < n; i += 2) {
        int32_t f[EDGEBCI_SLOTS], next[EDGEBCI_SLOTS];
        for (uint32_t j = 0; j < EDGEBCI_SLOTS; j++) {
            const uint32_t pair = edgebci_load_pair(B + n * j + i);
            f[j] = edgebci_ssat14(edgebci_smmlar((int32_t)(pair << 16), gain[j], 0));
            next[j] = edgebci_ssat14(edgebci_smmlar((int32_t)(pair & 0xFFFF0000u), gain[j], 0));
        }
        int16_t *const at = folded + EDGEBCI_SLOTS * i;
        edgebci_store_pair(at, edgebci_pair(f[0], f[1]));
        edgebci_store_pair(at + 2, edgebci_pair(f[2], f[3]));
        edgebci_store_pair(at + 4, edgebci_pair(next[0], next[1]));
        edgebci_store_pair(at + 6, edgebci_pair(next[2], next[3]));
    }
}

#endif
