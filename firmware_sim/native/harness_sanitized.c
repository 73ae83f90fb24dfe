/* A whole program for the sanitizers: reads counts from a file, pushes them in pieces of n rows, every seventh piece as
 * rows that never arrived, and writes the bits of every output.
 *
 *     program COUNTS N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoder.h"

static edgebci_t context;

static void show(void)
{
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        uint32_t bits;
        memcpy(&bits, &edgebci_output(&context)->values[i], sizeof bits);
        (void)printf("%08x ", (unsigned)bits);
    }
    (void)printf("%u\n", (unsigned)edgebci_output(&context)->valid);
}

int main(int argc, char **argv)
{
    const uint32_t most = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    FILE *file = most ? fopen(argv[1], "rb") : NULL;
    /* As large as a piece and no larger, so that a read beyond it is seen. */
    edgebci_count_t *rows = malloc(sizeof *rows * EDGEBCI_CHANNELS * (most ? most : 1u));
    if (file == NULL || rows == NULL) {
        free(rows);
        return 2;
    }
    edgebci_init(&context);
    size_t n;
    for (uint32_t piece = 1; (n = fread(rows, sizeof *rows * EDGEBCI_CHANNELS, most, file)) > 0; piece++) {
        const uint32_t frames = piece % 7u ? edgebci_push_samples(&context, rows, (uint32_t)n)
                                           : edgebci_push_missing(&context, (uint32_t)n);
        if (frames > 0) {
            show();
        }
    }
    edgebci_reset(&context);
    free(rows);
    (void)fclose(file);
    return 0;
}
