/* Sums of rows of int8 weights with int16 activations on a core with Helium: the functions, the layout and the bits of
 * the portable edgebci_row_pairs.h, which says what they compute.
 *
 * Eight columns of two pairs of rows lie side by side, word by word in turn, so an interleaving load parts them: two
 * loads give 32 weights. Bound: of 32 products four multiply-accumulates of two beats each, or 0.25 cycles each, and nine
 * instructions, or 0.28; loads and extensions go to other pipes.
 */
#ifndef EDGEBCI_ROW_PAIRS_H
#define EDGEBCI_ROW_PAIRS_H

#include <stdint.h>

#include "edgebci_dsp.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#define EDGEBCI_HAS_HELIUM 1
#else /* the same program on a machine without Helium */
#define EDGEBCI_HAS_HELIUM 0
#endif
/* Sums go to core registers of even numbers, and eight of these there are not. */
#define EDGEBCI_HAS_EIGHT_ROWS 0

/* The state of one group of four rows: high = 256 S_a + S_b and low = S_b for rows 0 and 1, and for rows 2 and 3. */
typedef struct {
    int32_t high01, low01, high23, low23;
} edgebci_row_sums_t;

static EDGEBCI_INLINE edgebci_row_sums_t edgebci_no_sums(void)
{
    edgebci_row_sums_t s;
    s.high01 = 0;
    s.low01 = 0;
    s.high23 = 0;
    s.low23 = 0;
    return s;
}

/* 256 S_a, from the state of a pair. */
static EDGEBCI_INLINE int32_t edgebci_row_high(int32_t high, int32_t low)
{
    return (int32_t)((uint32_t)high - (uint32_t)low);
}

#if EDGEBCI_HAS_HELIUM
/* Adds the products of 8 n columns, n > 0, of a group. What is multiplied next is loaded between the multiplications, so
 * that these follow each other: 10 cycles for 32 products, in the order that is written here. */
static EDGEBCI_INLINE void edgebci_row_pairs_eights(edgebci_row_sums_t *s, const int16_t *weight, const int16_t *x,
                                                    uint32_t n)
{
#define EDGEBCI_FIRST_THREE_PRODUCTS                                                                                  \
    "vmladava.s16 %[h01], q1, q0\n\tvmovlb.s8 q3, q1\n\tvmladava.s16 %[h23], q2, q0\n\tvmovlb.s8 q4, q2\n\t"           \
    "vmladava.s16 %[l01], q3, q0\n\t"
    __asm__ volatile("vld20.32 {q1, q2}, [%[w]]\n\tvld21.32 {q1, q2}, [%[w]]!\n\tvldrh.u16 q0, [%[x]], #16\n\t"
                     "wls lr, %[n], 2f\n"
                     "1:\n\t" EDGEBCI_FIRST_THREE_PRODUCTS
                     "vld20.32 {q1, q2}, [%[w]]\n\tvmladava.s16 %[l23], q4, q0\n\tvld21.32 {q1, q2}, [%[w]]!\n\t"
                     "vldrh.u16 q0, [%[x]], #16\n\tle lr, 1b\n"
                     "2:\n\t" EDGEBCI_FIRST_THREE_PRODUCTS "vmladava.s16 %[l23], q4, q0"
                     : [h01] "+Te"(s->high01), [l01] "+Te"(s->low01), [h23] "+Te"(s->high23), [l23] "+Te"(s->low23),
                       [w] "+&r"(weight), [x] "+&r"(x)
                     : [n] "r"(n - 1u)
                     : "lr", "q0", "q1", "q2", "q3", "q4", "memory");
}
#endif

/* A multiple of 4 columns. */
static EDGEBCI_INLINE edgebci_row_sums_t edgebci_row_pairs(const int16_t *weight, const int16_t *x, uint32_t columns)
{
    edgebci_row_sums_t s = edgebci_no_sums();
    uint32_t j = 0;
#if EDGEBCI_HAS_HELIUM
    if (columns >= 8u) {
        edgebci_row_pairs_eights(&s, weight, x, columns / 8u);
        j = columns / 8u * 8u;
        weight += 2u * j;
    }
#endif
    for (; j < columns; j += 2, weight += 4) {
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
