/* edgebci.DenseFixed, edgebci.DenseFixedAdd: int8 weights times int16 activations.
 *
 * EDGEBCI_DEFINE_DENSE_FIXED(name, columns) defines `void name(d, q, y)`: y = saturated(bias + S multiplier / 2^32),
 * EDGEBCI_DEFINE_DENSE_FIXED_ADD(name, columns) `void name(d, q, x, y)`, which adds x [rows]. S is the exact sum; scales
 * make sure that it fits.
 * rows and columns are multiples of 4, filled up with zeros; weight as edgebci_row_pairs.h has it; q [columns] and
 * y [rows] are int16 on a word.
 */
#ifndef EDGEBCI_DENSE_FIXED_H
#define EDGEBCI_DENSE_FIXED_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_row_pairs.h"

#define EDGEBCI_FIXED_SEGMENT 128u /* columns whose sum is below 2^23 */

typedef struct {
    uint32_t rows;
    const int16_t *weight;
    const int32_t *scaling; /* [rows][2]: multiplier, bias */
} edgebci_dense_fixed_t;

/* Two sums as a pair of counts of y, and on to the next; `adds`, a constant, tells whether x is added. */
static EDGEBCI_INLINE void edgebci_dense_fixed_two(int32_t first, int32_t second, uint32_t adds, const int32_t **m,
                                                   const int16_t **x, int16_t **y)
{
#if EDGEBCI_HAS_DSP
#define EDGEBCI_LOAD_SCALING                                                                                          \
    "ldr %[b0], [%[m], #4]\n\tldr %[m1], [%[m], #8]\n\tldr %[b1], [%[m], #12]\n\tldr %[m0], [%[m]], #16\n\t"
#define EDGEBCI_SCALE_TWO                                                                                             \
    "smmlar %[b0], %[s0], %[m0], %[b0]\n\tsmmlar %[b1], %[s1], %[m1], %[b1]\n\tssat %[b0], #16, %[b0]\n\t"            \
    "ssat %[b1], #16, %[b1]\n\tpkhbt %[b0], %[b0], %[b1], lsl #16\n\tstr %[b0], [%[y]], #4"
    int32_t m0, b0, m1, b1;
    if (adds) {
        int32_t added;
        __asm__ volatile("ldr %[added], [%[x]], #4\n\t" EDGEBCI_LOAD_SCALING
                         "sxtah %[b0], %[b0], %[added]\n\tsxtah %[b1], %[b1], %[added], ror #16\n\t" EDGEBCI_SCALE_TWO
                         : [m0] "=&r"(m0), [b0] "=&r"(b0), [m1] "=&r"(m1), [b1] "=&r"(b1), [added] "=&r"(added),
                           [m] "+&r"(*m), [x] "+&r"(*x), [y] "+&r"(*y)
                         : [s0] "r"(first), [s1] "r"(second)
                         : "memory");
        return;
    }
    __asm__ volatile(EDGEBCI_LOAD_SCALING EDGEBCI_SCALE_TWO
                     : [m0] "=&r"(m0), [b0] "=&r"(b0), [m1] "=&r"(m1), [b1] "=&r"(b1), [m] "+&r"(*m), [y] "+&r"(*y)
                     : [s0] "r"(first), [s1] "r"(second)
                     : "memory");
#else
    int32_t a = (*m)[1], b = (*m)[3];
    if (adds) {
        a += (*x)[0];
        b += (*x)[1];
        *x += 2;
    }
    a = edgebci_smmlar(first, (*m)[0], a);
    b = edgebci_smmlar(second, (*m)[2], b);
    edgebci_store_pair(*y, edgebci_pair(edgebci_ssat16(a), edgebci_ssat16(b)));
    *m += 4;
    *y += 2;
#endif
}

/* A group's four sums as counts of y, and on to the next group. */
static EDGEBCI_INLINE void edgebci_dense_fixed_finish(edgebci_row_sums_t s, uint32_t adds, const int32_t **m,
                                                      const int16_t **x, int16_t **y)
{
    edgebci_dense_fixed_two(s.high01, s.low01, adds, m, x, y);
    edgebci_dense_fixed_two(s.high23, s.low23, adds, m, x, y);
}

/* Add what a segment gave. */
static EDGEBCI_INLINE void edgebci_dense_fixed_gather(edgebci_row_sums_t s, edgebci_row_sums_t *sums)
{
    sums->high01 += edgebci_row_high(s.high01, s.low01) >> 8;
    sums->low01 += s.low01;
    sums->high23 += edgebci_row_high(s.high23, s.low23) >> 8;
    sums->low23 += s.low23;
}

#if EDGEBCI_HAS_EIGHT_ROWS
/* Two rows' sums, as edgebci_row_pairs gives them, as a pair of counts. */
#define EDGEBCI_SCALE_ROWS(h, l)                                                                                      \
    EDGEBCI_LOAD_SCALING "sub %[" h "], %[" h "], %[" l "]\n\tasr %[" h "], %[" h "], #8\n\t"                         \
    "smmlar %[b0], %[" h "], %[m0], %[b0]\n\tsmmlar %[b1], %[" l "], %[m1], %[b1]\n\tssat %[b0], #16, %[b0]\n\t"      \
    "ssat %[b1], #16, %[b1]\n\tpkhbt %[b0], %[b0], %[b1], lsl #16\n\tstr %[b0], [%[y]], #4\n\t"

/* Eight rows' sums as counts of y, on to the next: one piece, so that the sums stay in registers. */
static EDGEBCI_INLINE void edgebci_dense_fixed_finish_eight(edgebci_row_sums_t *a, edgebci_row_sums_t *b,
                                                            const int32_t **m, int16_t **y)
{
    int32_t m0, b0, m1, b1;
    __asm__ volatile(EDGEBCI_SCALE_ROWS("h0", "l0") EDGEBCI_SCALE_ROWS("h1", "l1") EDGEBCI_SCALE_ROWS("h2", "l2")
                         EDGEBCI_SCALE_ROWS("h3", "l3")
                     : [h0] "+&r"(a->high01), [h1] "+&r"(a->high23), [h2] "+&r"(b->high01), [h3] "+&r"(b->high23),
                       [m0] "=&r"(m0), [b0] "=&r"(b0), [m1] "=&r"(m1), [b1] "=&r"(b1), [m] "+&r"(*m), [y] "+&r"(*y)
                     : [l0] "r"(a->low01), [l1] "r"(a->low23), [l2] "r"(b->low01), [l3] "r"(b->low23)
                     : "memory");
}

/* Eight rows; columns is a constant multiple of 64. */
static EDGEBCI_INLINE void edgebci_dense_fixed_eight(const int16_t *weight, uint32_t columns, const int16_t *q,
                                                     edgebci_row_sums_t *first, edgebci_row_sums_t *second)
{
    for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_FIXED_SEGMENT) {
        edgebci_row_sums_t a, b;
        if (columns - begin >= EDGEBCI_FIXED_SEGMENT) {
            edgebci_eight_rows(weight + 2u * begin, 4u * columns, q + begin, EDGEBCI_FIXED_SEGMENT, &a, &b);
        } else {
            edgebci_eight_rows(weight + 2u * begin, 4u * columns, q + begin, 64, &a, &b);
        }
        edgebci_dense_fixed_gather(a, first);
        edgebci_dense_fixed_gather(b, second);
    }
}
#endif

/* x [rows] is added where `adds`, a constant, says so. */
static EDGEBCI_INLINE void edgebci_dense_fixed(const edgebci_dense_fixed_t *d, uint32_t columns,
                                               uint32_t adds, const int16_t *q, const int16_t *x, int16_t *y)
{
    const int16_t *weight = d->weight;
    const int32_t *m = d->scaling;
    const int16_t *const end = y + d->rows;
#if EDGEBCI_HAS_EIGHT_ROWS
    for (const int16_t *last = columns % 64u == 0 ? y + d->rows / 8u * 8u : y; y != last;) {
        edgebci_row_sums_t first, second;
        if (columns <= EDGEBCI_FIXED_SEGMENT && !adds) {
            edgebci_eight_rows(weight, 4u * columns, q, columns, &first, &second);
            weight += 4u * columns;
            edgebci_dense_fixed_finish_eight(&first, &second, &m, &y);
            continue;
        }
        first = edgebci_no_sums();
        second = edgebci_no_sums();
        edgebci_dense_fixed_eight(weight, columns, q, &first, &second);
        weight += 4u * columns;
        edgebci_dense_fixed_finish(first, adds, &m, &x, &y);
        edgebci_dense_fixed_finish(second, adds, &m, &x, &y);
    }
#endif
    while (y != end) {
        edgebci_row_sums_t s = edgebci_no_sums();
        for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_FIXED_SEGMENT) {
            const uint32_t n = columns - begin < EDGEBCI_FIXED_SEGMENT ? columns - begin : EDGEBCI_FIXED_SEGMENT;
            edgebci_dense_fixed_gather(edgebci_row_pairs(weight, q + begin, n), &s);
            weight += 2u * n;
        }
        edgebci_dense_fixed_finish(s, adds, &m, &x, &y);
    }
}

#define EDGEBCI_DEFINE_DENSE_FIXED(name, columns)                                                                     \
    static EDGEBCI_KERNEL void name(const edgebci_dense_fixed_t *d, const int16_t *q, int16_t *y)                     \
    {                                                                                                                 \
        edgebci_dense_fixed(d, columns, 0, q, NULL, y);                                                               \
    }

#define EDGEBCI_DEFINE_DENSE_FIXED_ADD(name, columns)                                                                 \
    static EDGEBCI_KERNEL void name(const edgebci_dense_fixed_t *d, const int16_t *q, const int16_t *x, int16_t *y)   \
    {                                                                                                                 \
        edgebci_dense_fixed(d, columns, 1, q, x, y);                                                                  \
    }

#endif
