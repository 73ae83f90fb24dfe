/* edgebci.Dense in float32 on a processor with vectors: see the portable edgebci_float_dense.h. The four lanes of a
 * sum are one vector, and four rows at a time keep as many sums on their way.
 */
#ifndef EDGEBCI_FLOAT_DENSE_H
#define EDGEBCI_FLOAT_DENSE_H

#include <stdint.h>

#include "edgebci_vector.h"

/* Adds the products of the last n < 4 columns to the first lanes; -0 + v is v for every v. */
static EDGEBCI_INLINE edgebci_f4 edgebci_float_rest(edgebci_f4 lanes, const float *a, const float *b, uint32_t n)
{
    edgebci_f4 products = edgebci_no_lanes();
    for (uint32_t i = 0; i < n; i++) {
        products[i] = a[i] * b[i];
    }
    return lanes + products;
}

static EDGEBCI_INLINE float edgebci_float_dot(const float *restrict a, const float *restrict b, uint32_t n)
{
    const uint32_t whole = n - n % 4u;
    edgebci_f4 lanes = edgebci_no_lanes();
    for (uint32_t i = 0; i < whole; i += 4u) {
        lanes = lanes + edgebci_load4(a + i) * edgebci_load4(b + i);
    }
    return edgebci_of_lanes(edgebci_float_rest(lanes, a + whole, b + whole, n % 4u));
}

typedef struct {
    uint32_t rows;
    const float *weight;
    const float *bias;
} edgebci_float_dense_t;

static EDGEBCI_INLINE edgebci_f4 edgebci_float_four_dots(const float *restrict w, uint32_t columns,
                                                         const float *restrict x)
{
    const uint32_t whole = columns - columns % 4u;
    edgebci_f4 lanes[4] = {edgebci_no_lanes(), edgebci_no_lanes(), edgebci_no_lanes(), edgebci_no_lanes()};
    for (uint32_t i = 0; i < whole; i += 4u) {
        const edgebci_f4 four = edgebci_load4(x + i);
        for (uint32_t k = 0; k < 4u; k++) {
            lanes[k] = lanes[k] + edgebci_load4(w + k * columns + i) * four;
        }
    }
    for (uint32_t k = 0; k < 4u; k++) {
        lanes[k] = edgebci_float_rest(lanes[k], w + k * columns + whole, x + whole, columns % 4u);
    }
    return edgebci_of_four_lanes(lanes[0], lanes[1], lanes[2], lanes[3]);
}

static EDGEBCI_INLINE void edgebci_float_dense(const edgebci_float_dense_t *d, uint32_t columns,
                                               const float *restrict x, float *restrict y)
{
    uint32_t row = 0;
    for (; row + 4u <= d->rows; row += 4u) {
        const edgebci_f4 sums = edgebci_float_four_dots(d->weight + row * columns, columns, x);
        *(edgebci_f4_in_memory *)(y + row) = sums + edgebci_load4(d->bias + row);
    }
    for (; row < d->rows; row++) {
        y[row] = edgebci_float_dot(d->weight + row * columns, x, columns) + d->bias[row];
    }
}

#define EDGEBCI_DEFINE_FLOAT_DENSE(name, columns)                                                                 \
    static EDGEBCI_KERNEL void name(const edgebci_float_dense_t *d, const float *restrict x, float *restrict y)   \
    {                                                                                                             \
        edgebci_float_dense(d, columns, x, y);                                                                    \
    }

#endif
