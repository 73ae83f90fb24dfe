/* edgebci.Dense in float32: y [rows] = weight [rows][columns] x [columns] + bias [rows].
 *
 * EDGEBCI_DEFINE_FLOAT_DENSE(name, columns) defines `void name(d, x, y)` for one width.
 */
#ifndef EDGEBCI_FLOAT_DENSE_H
#define EDGEBCI_FLOAT_DENSE_H

#include <stdint.h>

#include "edgebci_math.h"

/* Sum of a[i] * b[i]: lane j takes j, j + 4, ...; then (l0 + l1) + (l2 + l3). -0 + v is v for every v. */
static EDGEBCI_INLINE float edgebci_float_dot(const float *restrict a, const float *restrict b, uint32_t n)
{
    float l0 = -0.0f, l1 = -0.0f, l2 = -0.0f, l3 = -0.0f;
    const uint32_t whole = n - n % 4u;
    for (uint32_t i = 0; i < whole; i += 4u) {
        l0 += a[i] * b[i];
        l1 += a[i + 1u] * b[i + 1u];
        l2 += a[i + 2u] * b[i + 2u];
        l3 += a[i + 3u] * b[i + 3u];
    }
    l0 = n % 4u > 0u ? l0 + a[whole] * b[whole] : l0;
    l1 = n % 4u > 1u ? l1 + a[whole + 1u] * b[whole + 1u] : l1;
    l2 = n % 4u > 2u ? l2 + a[whole + 2u] * b[whole + 2u] : l2;
    return (l0 + l1) + (l2 + l3);
}

typedef struct {
    uint32_t rows;
    const float *weight;
    const float *bias;
} edgebci_float_dense_t;

static EDGEBCI_INLINE void edgebci_float_dense(const edgebci_float_dense_t *d, uint32_t columns,
                                               const float *restrict x, float *restrict y)
{
    for (uint32_t row = 0; row < d->rows; row++) {
        y[row] = edgebci_float_dot(d->weight + row * columns, x, columns) + d->bias[row];
    }
}

#define EDGEBCI_DEFINE_FLOAT_DENSE(name, columns)                                                                 \
    static EDGEBCI_KERNEL void name(const edgebci_float_dense_t *d, const float *restrict x, float *restrict y)   \
    {                                                                                                             \
        edgebci_float_dense(d, columns, x, y);                                                                    \
    }

#endif
