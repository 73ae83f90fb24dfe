/* edgebci.Dense with packed weights, for cores with the DSP extension: the sums and the bits of edgebci_dense.h.
 *
 * EDGEBCI_DEFINE_DENSE_PACKED(name, columns) defines the kernel for one width, `void name(d, q, y)`.
 * weight as edgebci_row_pairs.h has it, rows and columns filled up with zeros to multiples of 4 and cut into segments of
 * EDGEBCI_SEGMENT columns, so that every sum fits; q [columns]; y [rows]. The stack holds q in int16.
 */
#ifndef EDGEBCI_DENSE_PACKED_H
#define EDGEBCI_DENSE_PACKED_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_row_pairs.h"

#define EDGEBCI_SEGMENT 508u /* columns; 511 is the most, and it is a multiple of 4 */

#define EDGEBCI_FOURS(columns) (((columns) + 3u) / 4u * 4u)

typedef struct {
    uint32_t rows;
    const int16_t *weight;
    const float *scale; /* [rows], activation scale times weight scale */
    const float *bias;  /* [rows], or NULL: none */
} edgebci_dense_packed_t;

/* The sums of four rows over all columns. */
static EDGEBCI_INLINE void edgebci_dense_packed_sums(const int16_t *restrict weight, uint32_t columns,
                                                     const int16_t *restrict x, int32_t *restrict sums)
{
    for (uint32_t i = 0; i < 4; i++) {
        sums[i] = 0;
    }
    for (uint32_t begin = 0; begin < columns; begin += EDGEBCI_SEGMENT) {
        const uint32_t n = columns - begin < EDGEBCI_SEGMENT ? columns - begin : EDGEBCI_SEGMENT;
        const edgebci_row_sums_t s = edgebci_row_pairs(weight + 2u * begin, x + begin, n);
        sums[0] += edgebci_row_high(s.high01, s.low01) >> 8;
        sums[1] += s.low01;
        sums[2] += edgebci_row_high(s.high23, s.low23) >> 8;
        sums[3] += s.low23;
    }
}

/* x [padded] is work memory, where padded is columns rounded up to a multiple of 4. */
static EDGEBCI_INLINE void edgebci_dense_packed(const edgebci_dense_packed_t *d, uint32_t columns,
                                                const int8_t *restrict q, int16_t *restrict x, float *restrict y)
{
    const uint32_t padded = EDGEBCI_FOURS(columns);
    for (uint32_t j = 0; j < padded; j++) {
        x[j] = j < columns ? q[j] : 0;
    }
    const int16_t *weight = d->weight;
    int32_t sums[4];
    uint32_t row = 0;
    for (; row + 4 <= d->rows; row += 4, weight += 2u * padded) {
        edgebci_dense_packed_sums(weight, padded, x, sums);
        for (uint32_t i = 0; i < 4; i++) {
            y[row + i] = edgebci_scaled(sums[i], d->scale, d->bias, row + i);
        }
    }
    if (row < d->rows) {
        edgebci_dense_packed_sums(weight, padded, x, sums);
        for (uint32_t i = 0; row + i < d->rows; i++) {
            y[row + i] = edgebci_scaled(sums[i], d->scale, d->bias, row + i);
        }
    }
}

#define EDGEBCI_DEFINE_DENSE_PACKED(name, columns)                                                                  \
    static EDGEBCI_KERNEL void name(const edgebci_dense_packed_t *d, const int8_t *restrict q, float *restrict y)   \
    {                                                                                                               \
        int16_t x[EDGEBCI_FOURS(columns)] EDGEBCI_ALIGNED;                                                          \
        edgebci_dense_packed(d, columns, q, x, y);                                                                  \
    }

#endif
