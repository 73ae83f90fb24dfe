/* Sums of rows of int8 weights with int16 activations on a core with Helium: the functions, the layout and the bits of
 * the portable edgebci_row_pairs.h, which says what they compute.
 *
 * Eight columns of two pairs of rows lie side by side, word by word in turn, so an interleaving load parts them: two
 * loads give 32 weights. Bound: of 32 products four multiply-accumulates of two beats each, or 0.25 cycles each; loads and
 * extensions go to other pipes.
 */
#ifndef EDGEBCI_ROW_PAIRS_H
#define EDGEBCI_ROW_PAIRS_H

#include <stdint.h>

#include "edgebci_dsp.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include <arm_mve.h>
#define EDGEBCI_HAS_EIGHT_ROWS 1
#else /* the same program on a machine without Helium */
#define EDGEBCI_HAS_EIGHT_ROWS 0
#endif

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

#if EDGEBCI_HAS_EIGHT_ROWS
/* Eight columns of a group. */
static EDGEBCI_INLINE void edgebci_row_pairs_eight(edgebci_row_sums_t *s, const int16_t *weight, int16x8_t x)
{
    const uint32x4x2_t words = vld2q_u32((const uint32_t *)(const void *)weight);
    const int16x8_t w01 = vreinterpretq_s16_u32(words.val[0]), w23 = vreinterpretq_s16_u32(words.val[1]);
    s->high01 = vmladavaq_s16(s->high01, w01, x);
    s->low01 = vmladavaq_s16(s->low01, vmovlbq_s8(vreinterpretq_s8_s16(w01)), x);
    s->high23 = vmladavaq_s16(s->high23, w23, x);
    s->low23 = vmladavaq_s16(s->low23, vmovlbq_s8(vreinterpretq_s8_s16(w23)), x);
}

#endif

/* A multiple of 4 columns. */
static EDGEBCI_INLINE edgebci_row_sums_t edgebci_row_pairs(const int16_t *weight, const int16_t *x, uint32_t columns)
{
    edgebci_row_sums_t s = edgebci_no_sums();
    uint32_t j = 0;
#if EDGEBCI_HAS_EIGHT_ROWS
    for (; j < columns / 8u * 8u; j += 8, weight += 16) {
        edgebci_row_pairs_eight(&s, weight, vld1q_s16(x + j));
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

#if EDGEBCI_HAS_EIGHT_ROWS
/* Eight rows, which share the loads of activations; `columns` is a multiple of 64, the second group's weights are `next`
 * bytes behind the first's. */
static EDGEBCI_INLINE void edgebci_eight_rows(const int16_t *weight, uint32_t next, const int16_t *x, uint32_t columns,
                                              edgebci_row_sums_t *a, edgebci_row_sums_t *b)
{
    edgebci_row_sums_t first = edgebci_no_sums(), second = edgebci_no_sums();
    const int16_t *behind = weight + next / sizeof(*weight);
    for (const int16_t *const end = x + columns; x != end; x += 8, weight += 16, behind += 16) {
        const int16x8_t block = vld1q_s16(x);
        edgebci_row_pairs_eight(&first, weight, block);
        edgebci_row_pairs_eight(&second, behind, block);
    }
    *a = first;
    *b = second;
}
#endif

#endif
