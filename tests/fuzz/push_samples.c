/* Fuzzes the stream interface: any pushes, gaps and resets. Fails on what a sanitizer sees, on an output that is not a
 * number, and where one push of n rows gives other bits than n pushes of one.
 *
 * An input is commands of two bytes, what to do and how often, followed by the rows of a push.
 */
#include <stdlib.h>
#include <string.h>

#include "decoder.h"

#define MOST_ROWS 64u
#define MOST_ROWS_OF_AN_INPUT 256u /* so that many inputs are tried */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static edgebci_t whole, single;
static edgebci_count_t rows[MOST_ROWS * EDGEBCI_CHANNELS];

static void check(void)
{
    const edgebci_output_t *a = edgebci_output(&whole), *b = edgebci_output(&single);
    if (memcmp(a, b, sizeof *a) != 0 || a->valid > 1u) {
        abort();
    }
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        if (!(a->values[i] - a->values[i] == 0.0f)) { /* infinite, or not a number */
            abort();
        }
    }
}

static size_t push(const uint8_t *data, size_t size, uint32_t n)
{
    const size_t bytes = (size_t)n * EDGEBCI_CHANNELS * sizeof rows[0], taken = bytes < size ? bytes : size;
    uint32_t frames = 0;
    memset(rows, 0, bytes);
    memcpy(rows, data, taken);
    for (uint32_t i = 0; i < n; i++) {
        frames += edgebci_push_samples(&single, rows + i * EDGEBCI_CHANNELS, 1);
    }
    if (frames != edgebci_push_samples(&whole, rows, n)) {
        abort();
    }
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    edgebci_init(&whole);
    edgebci_init(&single);
    uint32_t left = MOST_ROWS_OF_AN_INPUT;
    while (size >= 2 && left >= MOST_ROWS) {
        const uint32_t command = data[0] % 8u, n = data[1] % MOST_ROWS;
        data += 2;
        size -= 2;
        left -= n;
        if (command < 5u) {
            const size_t taken = push(data, size, n);
            data += taken;
            size -= taken;
        } else if (command < 7u) {
            for (uint32_t i = 0; i < n; i++) {
                (void)edgebci_push_missing(&single, 1);
            }
            (void)edgebci_push_missing(&whole, n);
        } else {
            edgebci_reset(&whole);
            edgebci_reset(&single);
        }
        check();
    }
    return 0;
}
