/* Fuzzes edgebci_load_parameters. Fails on what a sanitizer sees, where a refused block changes the parameters, and
 * where a step with the parameters of an accepted one is no valid program.
 *
 * The first byte says whether the check sum is put right, since no mutation finds one; the rest is the block.
 */
#include <stdlib.h>
#include <string.h>

#include "decoder.h"
#include "edgebci_parameters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static edgebci_t context, before;

static void put_sum_right(uint8_t *block, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size - 4; i++) {
        crc ^= block[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        block[size - 4 + i] = (uint8_t)(~crc >> (8u * i));
    }
}

static void step(void)
{
    static edgebci_count_t rows[2u * EDGEBCI_SAMPLES_PER_FRAME * EDGEBCI_CHANNELS];
    (void)edgebci_push_samples(&context, rows, 2u * EDGEBCI_SAMPLES_PER_FRAME);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 6) {
        return 0;
    }
    edgebci_init(&context);
    memcpy(&before, &context, sizeof before);
    uint8_t *block = malloc(size - 1);
    if (block == NULL) {
        return 0;
    }
    memcpy(block, data + 1, size - 1);
    if (data[0] & 1u) {
        put_sum_right(block, size - 1);
    }
    const uint32_t said = edgebci_load_parameters(&context, block, (uint32_t)(size - 1));
    free(block);
    if (said != EDGEBCI_PARAMETERS_TAKEN && memcmp(&before, &context, sizeof before) != 0) {
        abort();
    }
    step();
    return 0;
}
