/* Sums of four rows of int8 weights with int16 activations, for cores whose multiplier takes two products at once.
 *
 * Two rows a, b share a lane of 16 bits, 256 w_a + w_b; the weights of columns j and j + 1 are a word. With S_a, S_b the
 * sums that are wanted, the multiply-accumulate of such words gives 256 S_a + S_b, that of their low bytes S_b: one
 * load, one extension and two multiply-accumulates for four products. Exact while |S_a| < 2^23, since all is modulo
 * 2^32: with activations of int8 up to 511 columns.
 *
 *     weight [rows / 4][columns / 4][2 pairs of columns][2 pairs of rows][2]   int16 lanes, on a word
 *     x [columns]                                                             int16, on a word
 *
 * Bound: for 16 products 4 loads of weights and 2 of activations (7 cycles in a row on a Cortex-M4), 4 extensions and 8
 * multiply-accumulates, so 19 / 16 = 1.19 cycles per product there, and 0.5 where these can be had for nothing.
 */
#ifndef EDGEBCI_ROW_PAIRS_H
#define EDGEBCI_ROW_PAIRS_H

#include <stdint.h>

#include "edgebci_dsp.h"

/* The state of one group of four rows: high = 256 S_a + S_b and low = S_b for rows 0 and 1, and for rows 2 and 3. */
typedef struct {
    int32_t high01, low01, high23, low23;
} edgebci_row_sums_t;

/* One by one: for a list of zeros clang calls memset at -O0, and nothing is linked that has it. */
static EDGEBCI_INLINE edgebci_row_sums_t edgebci_no_sums(void)
{
    edgebci_row_sums_t s;
    s.high01 = 0;
    s.low01 = 0;
    s.high23 = 0;
    s.low23 = 0;
    return s;
}

#if EDGEBCI_HAS_DSP

/* The first product of a sum, and a further one. */
#define EDGEBCI_FIRST_PRODUCT(sum, w) "smuad %[" sum "], %[" w "], %[x0]\n\t"
#define EDGEBCI_NEXT_PRODUCT(sum, w) "smlad %[" sum "], %[" w "], %[x0], %[" sum "]\n\t"

/* Four columns; the weights are at byte w of %[weight], the activations at byte v of %[x]; t and u hold low bytes. */
#if defined(__ARM_FPV5__) && __ARM_ARCH == 7
/* Cortex-M7, two instructions at a time: each multiply-accumulate goes with a load or with an extension before it. */
#define EDGEBCI_COLUMNS_BY(w, v, op)                                                                                     \
    "ldr %[w01], [%[weight], #" #w "]\n\tldr %[x0], [%[x], #" #v "]\n\tldr %[x2], [%[x], #" #v "+4]\n\t"                \
    "ldr %[w23], [%[weight], #" #w "+4]\n\t" op("h01", "w01")                                                         \
    "sxtb16 %[t], %[w01]\n\t" op("h23", "w23")                                                                        \
    "sxtb16 %[u], %[w23]\n\t" op("l01", "t")                                                                          \
    "ldr %[w01], [%[weight], #" #w "+8]\n\t" op("l23", "u")                                                           \
    "ldr %[w23], [%[weight], #" #w "+12]\n\tsmlad %[h01], %[w01], %[x2], %[h01]\n\t"                                  \
    "sxtb16 %[t], %[w01]\n\tsmlad %[h23], %[w23], %[x2], %[h23]\n\t"                                                  \
    "sxtb16 %[u], %[w23]\n\tsmlad %[l01], %[t], %[x2], %[l01]\n\tsmlad %[l23], %[u], %[x2], %[l23]\n\t"
#else
/* One at a time: loads stand together, because a load after a load takes one cycle less. */
#define EDGEBCI_COLUMNS_BY(w, v, op)                                                                                     \
    "ldr %[w01], [%[weight], #" #w "]\n\tldr %[w23], [%[weight], #" #w "+4]\n\t"                                      \
    "ldr %[t], [%[weight], #" #w "+8]\n\tldr %[u], [%[weight], #" #w "+12]\n\t"                                       \
    "ldr %[x0], [%[x], #" #v "]\n\tldr %[x2], [%[x], #" #v "+4]\n\t"                                                  \
    op("h01", "w01") "sxtb16 %[w01], %[w01]\n\t" op("h23", "w23") "sxtb16 %[w23], %[w23]\n\t"                         \
    op("l01", "w01") op("l23", "w23")                                                                                 \
    "smlad %[h01], %[t], %[x2], %[h01]\n\tsxtb16 %[t], %[t]\n\t"                                                      \
    "smlad %[h23], %[u], %[x2], %[h23]\n\tsxtb16 %[u], %[u]\n\t"                                                      \
    "smlad %[l01], %[t], %[x2], %[l01]\n\tsmlad %[l23], %[u], %[x2], %[l23]\n\t"
#endif

#define EDGEBCI_FOUR_COLUMNS(w, v) EDGEBCI_COLUMNS_BY(w, v, EDGEBCI_NEXT_PRODUCT)
#define EDGEBCI_TWELVE_COLUMNS(w, v)                                                                                  \
    EDGEBCI_FOUR_COLUMNS(w, v) EDGEBCI_FOUR_COLUMNS(w + 16, v + 8) EDGEBCI_FOUR_COLUMNS(w + 32, v + 16)
#define EDGEBCI_SIXTEEN_COLUMNS(w, v) EDGEBCI_FOUR_COLUMNS(w, v) EDGEBCI_TWELVE_COLUMNS(w + 16, v + 8)
#define EDGEBCI_48_COLUMNS(w, v)                                                                                      \
    EDGEBCI_SIXTEEN_COLUMNS(w, v) EDGEBCI_SIXTEEN_COLUMNS(w + 64, v + 32) EDGEBCI_SIXTEEN_COLUMNS(w + 128, v + 64)

#define EDGEBCI_ROW_PAIRS_STEP(columns, sum, code)                                                                    \
    __asm__(code                                                                                                      \
            : [h01] sum(s.high01), [l01] sum(s.low01), [h23] sum(s.high23), [l23] sum(s.low23), [w01] "=&r"(w01),     \
              [w23] "=&r"(w23), [t] "=&r"(t), [u] "=&r"(u), [x0] "=&r"(x0), [x2] "=&r"(x2)                            \
            : [weight] "r"(weight), [x] "r"(x), "m"(*(const int16_t(*)[2 * (columns)])weight),                        \
              "m"(*(const int16_t(*)[columns])x))

/* The sums of a group over `columns`, a constant: no sum is cleared, since its first product begins it. */
static EDGEBCI_INLINE edgebci_row_sums_t edgebci_row_pairs(const int16_t *weight, const int16_t *x, uint32_t columns)
{
    edgebci_row_sums_t s;
    uint32_t w01, w23, t, u, x0, x2;
    const int16_t *const end = x + columns;
    const uint32_t begun = columns >= 128 ? 128 : columns >= 64 ? 64 : columns >= 16 ? 16 : 4, rest = columns - begun;
    if (columns >= 128) { /* in one piece: between two, compilers put the sums into memory */
        EDGEBCI_ROW_PAIRS_STEP(128, "=&r", EDGEBCI_COLUMNS_BY(0, 0, EDGEBCI_FIRST_PRODUCT) EDGEBCI_TWELVE_COLUMNS(16, 8)
                                               EDGEBCI_48_COLUMNS(64, 32) EDGEBCI_SIXTEEN_COLUMNS(256, 128)
                                                   EDGEBCI_48_COLUMNS(320, 160));
    } else if (columns >= 64) {
        EDGEBCI_ROW_PAIRS_STEP(64, "=&r", EDGEBCI_COLUMNS_BY(0, 0, EDGEBCI_FIRST_PRODUCT) EDGEBCI_TWELVE_COLUMNS(16, 8)
                                              EDGEBCI_48_COLUMNS(64, 32));
    } else if (columns >= 16) {
        EDGEBCI_ROW_PAIRS_STEP(16, "=&r", EDGEBCI_COLUMNS_BY(0, 0, EDGEBCI_FIRST_PRODUCT) EDGEBCI_TWELVE_COLUMNS(16, 8));
    } else {
        EDGEBCI_ROW_PAIRS_STEP(4, "=&r", EDGEBCI_COLUMNS_BY(0, 0, EDGEBCI_FIRST_PRODUCT));
    }
    weight += 2u * begun;
    x += begun;
    for (const int16_t *last = x + rest / 64 * 64; x != last; weight += 128, x += 64) {
        EDGEBCI_ROW_PAIRS_STEP(64, "+&r", EDGEBCI_SIXTEEN_COLUMNS(0, 0) EDGEBCI_48_COLUMNS(64, 32));
    }
    for (const int16_t *last = x + rest % 64 / 16 * 16; x != last; weight += 32, x += 16) {
        EDGEBCI_ROW_PAIRS_STEP(16, "+&r", EDGEBCI_SIXTEEN_COLUMNS(0, 0));
    }
    for (; x != end; weight += 8, x += 4) {
        EDGEBCI_ROW_PAIRS_STEP(4, "+&r", EDGEBCI_FOUR_COLUMNS(0, 0));
    }
    return s;
}

#else

static EDGEBCI_INLINE edgebci_row_sums_t edgebci_row_pairs(const int16_t *weight, const int16_t *x, uint32_t columns)
{
    edgebci_row_sums_t s = edgebci_no_sums();
    for (uint32_t j = 0; j < columns; j += 2, weight += 4) {
        const uint32_t pair = edgebci_load_pair(x + j);
        const uint32_t w01 = edgebci_load_pair(weight), w23 = edgebci_load_pair(weight + 2);
        s.high01 = edgebci_smlad(w01, pair, s.high01);
        s.low01 = edgebci_smlad(edgebci_sxtb16(w01), pair, s.low01);
        s.high23 = edgebci_smlad(w23, pair, s.high23);
        s.low23 = edgebci_smlad(edgebci_sxtb16(w23), pair, s.low23);
    }
    return s;
}

#endif

/* Two groups of rows at a time, which share the loads of activations: worth it on a Cortex-M33, where a load takes a cycle
 * wherever it stands and goes with no other instruction. All registers are taken: eight sums, two pointers, an activation and three weights. */
#if EDGEBCI_HAS_DSP && __ARM_ARCH == 8
#define EDGEBCI_HAS_EIGHT_ROWS 1

#define EDGEBCI_FIRST_OF_EIGHT(sum, w) "smuad %[" sum "], %[" w "], %[v]\n\t"
#define EDGEBCI_NEXT_OF_EIGHT(sum, w) "smlad %[" sum "], %[" w "], %[v], %[" sum "]\n\t"
#define EDGEBCI_EIGHT_BY_TWO(w, at, op)                                                                               \
    "ldr %[v], [%[x], #" #at "]\n\tldr %[p], [%[weight], #" #w "]\n\tldr %[q], [%[weight], #" #w "+4]\n\t"             \
    "ldr %[r], [%[weight], #%c[next]+" #w "]\n\t" op("h0", "p") "sxtb16 %[p], %[p]\n\t" op("h1", "q")                  \
    "sxtb16 %[q], %[q]\n\t" op("l0", "p") "ldr %[p], [%[weight], #%c[next]+" #w "+4]\n\t" op("l1", "q")                \
    op("h2", "r") "sxtb16 %[r], %[r]\n\t" op("h3", "p") "sxtb16 %[p], %[p]\n\t" op("l2", "r") op("l3", "p")
#define EDGEBCI_EIGHT_MORE(w, at) EDGEBCI_EIGHT_BY_TWO(w, at, EDGEBCI_NEXT_OF_EIGHT)
#define EDGEBCI_EIGHT_BY_SIX(w, at)                                                                                   \
    EDGEBCI_EIGHT_MORE(w, at) EDGEBCI_EIGHT_MORE(w + 8, at + 4) EDGEBCI_EIGHT_MORE(w + 16, at + 8)
#define EDGEBCI_EIGHT_BY_8(w, at) EDGEBCI_EIGHT_MORE(w, at) EDGEBCI_EIGHT_BY_SIX(w + 8, at + 4)
#define EDGEBCI_EIGHT_BY_56                                                                                           \
    EDGEBCI_EIGHT_BY_8(32, 16) EDGEBCI_EIGHT_BY_8(64, 32) EDGEBCI_EIGHT_BY_8(96, 48) EDGEBCI_EIGHT_BY_8(128, 64)      \
    EDGEBCI_EIGHT_BY_8(160, 80) EDGEBCI_EIGHT_BY_8(192, 96) EDGEBCI_EIGHT_BY_8(224, 112)

#define EDGEBCI_EIGHT_ROWS_STEP(sum, code)                                                                            \
    __asm__ volatile(code                                                                                             \
                     : [h0] sum(a->high01), [l0] sum(a->low01), [h1] sum(a->high23), [l1] sum(a->low23),              \
                       [h2] sum(b->high01), [l2] sum(b->low01), [h3] sum(b->high23), [l3] sum(b->low23),              \
                       [v] "=&r"(v), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r)                                         \
                     : [weight] "r"(weight), [x] "r"(x), [next] "i"(next)                                             \
                     : "memory")

/* Sums of eight rows over `columns`, a constant multiple of 64; the weights of the second group are `next` bytes behind
 * those of the first. 34 instructions for 32 products. */
static EDGEBCI_INLINE void edgebci_eight_rows(const int16_t *weight, uint32_t next, const int16_t *x, uint32_t columns,
                                              edgebci_row_sums_t *a, edgebci_row_sums_t *b)
{
    uint32_t v, p, q, r;
    const int16_t *const end = x + columns;
    EDGEBCI_EIGHT_ROWS_STEP("=&r", EDGEBCI_EIGHT_BY_TWO(0, 0, EDGEBCI_FIRST_OF_EIGHT) EDGEBCI_EIGHT_BY_SIX(8, 4)
                                       EDGEBCI_EIGHT_BY_56);
    for (weight += 128, x += 64; x != end; weight += 128, x += 64) {
        EDGEBCI_EIGHT_ROWS_STEP("+&r", EDGEBCI_EIGHT_BY_8(0, 0) EDGEBCI_EIGHT_BY_56);
    }
}
#else
#define EDGEBCI_HAS_EIGHT_ROWS 0
#endif

/* 256 S_a of a pair of rows, modulo 2^32. */
static inline int32_t edgebci_row_high(int32_t high, int32_t low)
{
    return (int32_t)((uint32_t)high - (uint32_t)low);
}

#endif
