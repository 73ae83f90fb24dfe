/* The packed dense kernel with its width as an argument, for tests through ctypes. */
#include "edgebci_dense_packed.h"

void probe_dense_packed(const uint32_t *shape, const int16_t *weight, const float *scale, const float *bias,
                        const int8_t *q, int16_t *x, float *y);
void probe_dense_packed(const uint32_t *shape, const int16_t *weight, const float *scale, const float *bias,
                        const int8_t *q, int16_t *x, float *y)
{
    const edgebci_dense_packed_t d = {shape[0], weight, scale, bias};
    edgebci_dense_packed(&d, shape[1], q, x, y);
}
