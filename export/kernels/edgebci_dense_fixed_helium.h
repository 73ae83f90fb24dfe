/* edgebci.DenseFixed and edgebci.DenseFixedAdd on a core with Helium: what the portable edgebci_dense_fixed.h computes,
 * from weights that lie otherwise.
 *
 * An instruction multiplies 16 int8 with 16 int8 and adds the products to a core register, in two beats; of int16 it
 * takes 8. So an activation is parted, x = 256 h + l + 128 with h and l in int8, and a row's sum is
 * 256 S_h + S_l + 128 sum(w): `start` holds the last term. All is modulo 2^32.
 *
 *     weight [blocks of 64 columns][rows / 2][16 columns at a time][2 rows][16], and 16 more
 *     start, multiplier, bias [rows + 2]                          the two more are read and not used, as are the 16
 *
 * columns are a multiple of 4, filled up with zeros to one of 16; the last block may be shorter; rows are a multiple
 * of 4. Bound: 64 columns of two rows take 16 multiplications of two beats, or 0.25 cycles a product; eight loads of
 * weights, two of activations and what becomes of the sums fill the 16 places between them.
 */
#ifndef EDGEBCI_DENSE_FIXED_HELIUM_H
#define EDGEBCI_DENSE_FIXED_HELIUM_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_dsp.h"
#include "edgebci_helium.h"

#define EDGEBCI_COLUMN_BLOCK 64u          /* columns */
#define EDGEBCI_ROWS_TOGETHER 296u /* whose sums are kept at a time */
#define EDGEBCI_ADDS_BIAS 1u
#define EDGEBCI_ADDS_X 2u /* [rows] */

typedef struct {
    uint32_t rows;
    const int8_t *weight;
    const int32_t *start, *multiplier; /* [rows + 2] */
    const int32_t *bias;               /* the same, or NULL: none */
} edgebci_dense_rows_t;

#if EDGEBCI_HAS_HELIUM

/* Part n activations, at most a block: h at `halves`, l a block's width behind. */
static EDGEBCI_INLINE void edgebci_dense_rows_part(uint32_t n, const int16_t *x, int8_t *halves)
{
    const int8x16_t middle = vdupq_n_s8(-128);
    uint32_t j = 0;
    for (; j + 16u <= n; j += 16) {
        const int8x16x2_t v = vld2q_s8((const int8_t *)(const void *)(x + j)); /* low bytes, high bytes */
        vst1q_s8(halves + j, v.val[1]);
        vst1q_s8(halves + EDGEBCI_COLUMN_BLOCK + j, veorq_s8(v.val[0], middle));
    }
    for (; j < n; j += 4) {
        const int32x4_t v = vldrhq_s32(x + j);
        vstrbq_s32(halves + j, vshrq_n_s32(v, 8));
        vstrbq_s32(halves + EDGEBCI_COLUMN_BLOCK + j, veorq_s32(v, vdupq_n_s32(0x80)));
    }
}

/* Two rows of a block. The first column's sums S_h begin with a product; `l` begin with what was loaded. Between the
 * multiplications the two rows before, `k`, are put out, and what their successors begin with is loaded. */
#define EDGEBCI_ROW_PAIR(l0, l1, k0, k1)                                                                              \
    "vmladav.s8 %[h0], q4, q0\n\tadd %[" k1 "], %[" k1 "], %[h1], lsl #8\n\t"                                         \
    "vmladava.s8 %[" l0 "], q4, q5\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladav.s8 %[h1], q4, q0\n\tstr %[" k0 "], [%[to]], #4\n\t"                                                      \
    "vmladava.s8 %[" l1 "], q4, q5\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h0], q4, q1\n\tstr %[" k1 "], [%[to]], #4\n\t"                                                     \
    "vmladava.s8 %[" l0 "], q4, q6\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h1], q4, q1\n\tldr %[" k0 "], [%[from]], #4\n\t"                                                   \
    "vmladava.s8 %[" l1 "], q4, q6\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h0], q4, q2\n\tvldrb.u8 q7, [%[x], #96]\n\t"                                                       \
    "vmladava.s8 %[" l0 "], q4, q7\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h1], q4, q2\n\tldr %[" k1 "], [%[from]], #4\n\t"                                                   \
    "vmladava.s8 %[" l1 "], q4, q7\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h0], q4, q3\n\tvldrb.u8 q7, [%[x], #112]\n\t"                                                      \
    "vmladava.s8 %[" l0 "], q4, q7\n\tvldrb.u8 q4, [%[w]], #16\n\t"                                                   \
    "vmladava.s8 %[h1], q4, q3\n\tadd %[" l0 "], %[" l0 "], %[h0], lsl #8\n\t"                                        \
    "vmladava.s8 %[" l1 "], q4, q7\n\tvldrb.u8 q4, [%[w]], #16\n\t"

/* A whole block of `rows`: to[2 + row] = from[row] + sum. to[0] and to[1] are overwritten. */
static EDGEBCI_INLINE void edgebci_dense_rows_block(uint32_t rows, const int8_t *w, const int8_t *x, const int32_t *from,
                                                    int32_t *to)
{
    int32_t h0, h1, l0, l1, k0, k1;
    __asm__ volatile("vldrb.u8 q0, [%[x]]\n\tldr %[l0], [%[from]], #4\n\tvldrb.u8 q1, [%[x], #16]\n\t"
                     "ldr %[l1], [%[from]], #4\n\tvldrb.u8 q2, [%[x], #32]\n\tdls lr, %[n]\n\t"
                     "vldrb.u8 q3, [%[x], #48]\n\tvldrb.u8 q5, [%[x], #64]\n\tvldrb.u8 q6, [%[x], #80]\n\t"
                     "vldrb.u8 q4, [%[w]], #16\n"
                     "1:\n\t" EDGEBCI_ROW_PAIR("l0", "l1", "k0", "k1") EDGEBCI_ROW_PAIR("k0", "k1", "l0", "l1")
                     "le lr, 1b\n\t"
                     "add %[k1], %[k1], %[h1], lsl #8\n\tstr %[k0], [%[to]], #4\n\tstr %[k1], [%[to]]"
                     : [h0] "=&Te"(h0), [h1] "=&Te"(h1), [l0] "=&Te"(l0), [l1] "=&Te"(l1), [k0] "=&Te"(k0),
                       [k1] "=&Te"(k1), [w] "+&r"(w), [from] "+&r"(from), [to] "+&r"(to)
                     : [x] "r"(x), [n] "r"(rows / 4u)
                     : "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory");
}

/* The same for a block of `n` < 64 columns. */
static EDGEBCI_INLINE void edgebci_dense_rows_rest(uint32_t rows, uint32_t n, const int8_t *w, const int8_t *x,
                                                   const int32_t *from, int32_t *to)
{
    for (uint32_t row = 0; row < rows; row += 2) {
        int32_t h0 = 0, h1 = 0, l0 = from[row], l1 = from[row + 1u];
        for (uint32_t j = 0; j < n; j += 16, w += 32) {
            const int8x16_t first = vld1q_s8(w), second = vld1q_s8(w + 16);
            const int8x16_t high = vld1q_s8(x + j), low = vld1q_s8(x + EDGEBCI_COLUMN_BLOCK + j);
            h0 = vmladavaq_s8(h0, first, high);
            l0 = vmladavaq_s8(l0, first, low);
            h1 = vmladavaq_s8(h1, second, high);
            l1 = vmladavaq_s8(l1, second, low);
        }
        to[2u + row] = (int32_t)((uint32_t)l0 + ((uint32_t)h0 << 8));
        to[3u + row] = (int32_t)((uint32_t)l1 + ((uint32_t)h1 << 8));
    }
}

/* Four sums as counts of y; `adds`, a constant, tells what is added. */
static EDGEBCI_INLINE int32x4_t edgebci_dense_rows_four(uint32_t adds, const int32_t *sums, const int32_t *multiplier,
                                                        const int32_t *bias, const int16_t *x)
{
    int32x4_t counts = vrmulhq_s32(vld1q_s32(sums), vld1q_s32(multiplier));
    counts = adds & EDGEBCI_ADDS_BIAS ? vaddq_s32(counts, vld1q_s32(bias)) : counts;
    return adds & EDGEBCI_ADDS_X ? vaddq_s32(counts, vldrhq_s32(x)) : counts;
}

static EDGEBCI_INLINE void edgebci_dense_rows_put(int16_t *y, int32x4_t counts)
{
    vstrhq_s32(y, vreinterpretq_s32_s16(vqmovnbq_s32(vreinterpretq_s16_s32(counts), counts)));
}

/* The rows from `row` to `end`, whose sums are these. Pointers are read once: the compiler does not know that y leaves
 * them alone. */
static EDGEBCI_INLINE void edgebci_dense_rows_finish(const edgebci_dense_rows_t *d, uint32_t row, uint32_t end,
                                                     uint32_t adds, const int32_t *sums, const int16_t *x, int16_t *y)
{
    const int32_t *multiplier = d->multiplier + row;
    const int32_t *bias = adds & EDGEBCI_ADDS_BIAS ? d->bias + row : multiplier;
    x += adds & EDGEBCI_ADDS_X ? row : 0;
    y += row;
    for (uint32_t left = (end - row) / 8u; left != 0; left--, sums += 8, multiplier += 8, bias += 8, x += 8, y += 8) {
        const int32x4_t first = edgebci_dense_rows_four(adds, sums, multiplier, bias, x);
        const int32x4_t second = edgebci_dense_rows_four(adds, sums + 4, multiplier + 4, bias + 4, x + 4);
        edgebci_dense_rows_put(y, first);
        edgebci_dense_rows_put(y + 4, second);
    }
    if ((end - row) % 8u != 0) {
        edgebci_dense_rows_put(y, edgebci_dense_rows_four(adds, sums, multiplier, bias, x));
    }
}

#else /* the same program on a machine without Helium */

static EDGEBCI_INLINE void edgebci_dense_rows_part(uint32_t n, const int16_t *x, int8_t *halves)
{
    for (uint32_t j = 0; j < n; j++) {
        halves[j] = (int8_t)(x[j] >> 8);
        halves[EDGEBCI_COLUMN_BLOCK + j] = (int8_t)((x[j] & 255) - 128);
    }
}

static EDGEBCI_INLINE void edgebci_dense_rows_rest(uint32_t rows, uint32_t n, const int8_t *w, const int8_t *x,
                                                   const int32_t *from, int32_t *to)
{
    for (uint32_t row = 0; row < rows; row++) {
        const int8_t *own = w + row / 2u * 2u * n + row % 2u * 16u;
        uint32_t sum = (uint32_t)from[row];
        for (uint32_t j = 0; j < n; j++) {
            sum += (uint32_t)(own[j / 16u * 32u + j % 16u] * (256 * x[j] + x[EDGEBCI_COLUMN_BLOCK + j]));
        }
        to[2u + row] = (int32_t)sum;
    }
}

static EDGEBCI_INLINE void edgebci_dense_rows_block(uint32_t rows, const int8_t *w, const int8_t *x, const int32_t *from,
                                                    int32_t *to)
{
    edgebci_dense_rows_rest(rows, EDGEBCI_COLUMN_BLOCK, w, x, from, to);
}

static EDGEBCI_INLINE void edgebci_dense_rows_finish(const edgebci_dense_rows_t *d, uint32_t row, uint32_t end,
                                                     uint32_t adds, const int32_t *sums, const int16_t *x, int16_t *y)
{
    for (; row < end; row++, sums++) {
        int32_t added = adds & EDGEBCI_ADDS_BIAS ? d->bias[row] : 0;
        added += adds & EDGEBCI_ADDS_X ? x[row] : 0;
        y[row] = (int16_t)edgebci_ssat16(edgebci_smmlar(*sums, d->multiplier[row], added));
    }
}

#endif

static EDGEBCI_INLINE void edgebci_dense_rows(const edgebci_dense_rows_t *d, uint32_t columns, uint32_t adds,
                                              const int16_t *q, const int16_t *x, int16_t *y)
{
    int8_t halves[2u * EDGEBCI_COLUMN_BLOCK];
    int32_t sums[2u + EDGEBCI_ROWS_TOGETHER + 2u];
    const uint32_t filled = (columns + 15u) / 16u * 16u;
    for (uint32_t j = 0; filled != columns && j < 2u * EDGEBCI_COLUMN_BLOCK; j++) {
        halves[j] = 0; /* what filled-up columns are multiplied with */
    }
    for (uint32_t row = 0; row < d->rows; row += EDGEBCI_ROWS_TOGETHER) {
        const uint32_t rows = d->rows - row < EDGEBCI_ROWS_TOGETHER ? d->rows - row : EDGEBCI_ROWS_TOGETHER;
        const int32_t *from = d->start + row;
        for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_COLUMN_BLOCK) {
            const uint32_t n = columns - begin < EDGEBCI_COLUMN_BLOCK ? columns - begin : EDGEBCI_COLUMN_BLOCK;
            const uint32_t wide = filled - begin < EDGEBCI_COLUMN_BLOCK ? filled - begin : EDGEBCI_COLUMN_BLOCK;
            const int8_t *const w = d->weight + d->rows * begin + row * wide;
            if (columns > EDGEBCI_COLUMN_BLOCK || row == 0) {
                edgebci_dense_rows_part(n, q + begin, halves);
            }
            if (wide == EDGEBCI_COLUMN_BLOCK) {
                edgebci_dense_rows_block(rows, w, halves, from, sums);
            } else {
                edgebci_dense_rows_rest(rows, wide, w, halves, from, sums);
            }
            from = sums + 2;
        }
        edgebci_dense_rows_finish(d, row, row + rows, adds, sums + 2, x, y);
    }
}

#define EDGEBCI_DEFINE_DENSE_FIXED(name, columns)                                                                     \
    static EDGEBCI_KERNEL void name(const edgebci_dense_rows_t *d, const int16_t *q, int16_t *y)                      \
    {                                                                                                                 \
        edgebci_dense_rows(d, columns, 0, q, q, y);                                                                   \
    }

#define EDGEBCI_DEFINE_DENSE_FIXED_BIASED(name, columns)                                                              \
    static EDGEBCI_KERNEL void name(const edgebci_dense_rows_t *d, const int16_t *q, int16_t *y)                      \
    {                                                                                                                 \
        edgebci_dense_rows(d, columns, EDGEBCI_ADDS_BIAS, q, q, y);                                                   \
    }

#define EDGEBCI_DEFINE_DENSE_FIXED_ADD(name, columns)                                                                 \
    static EDGEBCI_KERNEL void name(const edgebci_dense_rows_t *d, const int16_t *q, const int16_t *x, int16_t *y)    \
    {                                                                                                                 \
        edgebci_dense_rows(d, columns, EDGEBCI_ADDS_X, q, x, y);                                                      \
    }

#define EDGEBCI_DEFINE_DENSE_FIXED_ADD_BIASED(name, columns)                                                          \
    static EDGEBCI_KERNEL void name(const edgebci_dense_rows_t *d, const int16_t *q, const int16_t *x, int16_t *y)    \
    {                                                                                                                 \
        edgebci_dense_rows(d, columns, EDGEBCI_ADDS_BIAS | EDGEBCI_ADDS_X, q, x, y);                                  \
    }

#endif
