/* Dense kernels on a core that runs a program on its own: layers come in as one stream, their results go out.
 *
 * A layer is three words, whether its activations are int16, rows and columns; weights; activations; and where they are int8 scale and
 * bias of each row. A result is a word for each row: a float, or for int16 the exact sum. A layer without rows is the end. */
#include <stddef.h>
#include <stdint.h>

#include "edgebci_dense.h"
#include "edgebci_row_pairs.h"
#if defined(__arm__)
#include "stream_semihosting.h"
#else
#include "stream_linux.h"
#endif

#define MOST 16384

static int8_t bytes[MOST];
static int16_t lanes[MOST] EDGEBCI_ALIGNED, halves[MOST] EDGEBCI_ALIGNED;
static int8_t activations[512];
static float scales[64], biases[64], results[64];
static int32_t sums[64];

EDGEBCI_DEFINE_DENSE(dense_7, 7u)
EDGEBCI_DEFINE_DENSE(dense_64, 64u)
EDGEBCI_DEFINE_DENSE(dense_130, 130u)

void _start(void);

static void get(void *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t n = stream_read((char *)to + at, size - at);
        if (n == 0) {
            stream_end(1);
        }
        at += n;
    }
}

static void put(void *from, size_t size)
{
    if (stream_write(from, size) != size) {
        stream_end(1);
    }
}

static void of_bytes(uint32_t rows, uint32_t columns)
{
    const edgebci_dense_t d = {rows, bytes, scales, biases};
    get(bytes, rows * columns);
    get(activations, columns);
    get(scales, rows * sizeof(float));
    get(biases, rows * sizeof(float));
    if (columns == 7) {
        dense_7(&d, activations, results);
    } else if (columns == 64) {
        dense_64(&d, activations, results);
    } else {
        dense_130(&d, activations, results);
    }
    put(results, rows * sizeof(float));
}

static void take(edgebci_row_sums_t s, int32_t *to)
{
    to[0] = edgebci_row_high(s.high01, s.low01) >> 8;
    to[1] = s.low01;
    to[2] = edgebci_row_high(s.high23, s.low23) >> 8;
    to[3] = s.low23;
}

static void of_halves(uint32_t rows, uint32_t columns)
{
    get(lanes, rows * columns);
    get(halves, columns * sizeof(int16_t));
    uint32_t row = 0;
#if EDGEBCI_HAS_EIGHT_ROWS
    for (; columns == 64 && row + 8 <= rows; row += 8) {
        edgebci_row_sums_t a, b;
        edgebci_eight_rows(lanes + row * columns / 2, 4u * columns, halves, 64, &a, &b);
        take(a, sums + row);
        take(b, sums + row + 4);
    }
#endif
    for (; row < rows; row += 4) {
        take(edgebci_row_pairs(lanes + row * columns / 2, halves, columns), sums + row);
    }
    put(sums, rows * sizeof(int32_t));
}

EDGEBCI_ENTRY void _start(void)
{
    uint32_t header[3];
    stream_begin();
    for (get(header, sizeof(header)); header[1]; get(header, sizeof(header))) {
        if (header[0]) {
            of_halves(header[1], header[2]);
        } else {
            of_bytes(header[1], header[2]);
        }
    }
    (void)stream_stack_bytes();
    stream_end(0);
    for (;;) {
    }
}
