/* The program on its own: pushes come in as one stream, frames go out as another.
 *
 * A push is a header of two words, how many rows and whether they are missing, and the rows (none where they are missing). A frame is
 * its EDGEBCI_OUTPUTS floats and a word, its valid flag. At the end go the context, and in two words the deepest stack in bytes (0 where
 * that is not known) and the size of the context. There is no C library. */
#include <stddef.h>

#include "decoder.h"
#if defined(__arm__)
#include "stream_semihosting.h"
#else
#include "stream_linux.h"
#endif

typedef struct {
    float values[EDGEBCI_OUTPUTS];
    uint32_t valid;
} frame_t;

static edgebci_t context;
static edgebci_count_t counts[EDGEBCI_SAMPLES_PER_FRAME * EDGEBCI_CHANNELS];

void _start(void);
void edgebci_stream_put(void *from, size_t size);

/* Whether all of it came. */
static int get(void *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t n = stream_read((char *)to + at, size - at);
        if (n == 0) {
            return 0;
        }
        at += n;
    }
    return 1;
}

/* A function of its own and called once for each frame, which is how a profile knows where a step ends. */
__attribute__((noinline)) void edgebci_stream_put(void *from, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t n = stream_write((char *)from + at, size - at);
        if (n == 0) {
            stream_end(1);
        }
        at += n;
    }
}

static void publish(void)
{
    const edgebci_output_t *output = edgebci_output(&context);
    frame_t frame;
    for (uint32_t i = 0; i < EDGEBCI_OUTPUTS; i++) {
        frame.values[i] = output->values[i];
    }
    frame.valid = output->valid;
    edgebci_stream_put(&frame, sizeof(frame));
}

EDGEBCI_ENTRY void _start(void)
{
    uint32_t header[2];
    stream_begin();
    edgebci_init(&context);
    while (get(header, sizeof(header))) {
        uint32_t finished = 0;
        if (header[1]) {
            finished = edgebci_push_missing(&context, header[0]);
        } else if (header[0] <= EDGEBCI_SAMPLES_PER_FRAME && get(counts, header[0] * EDGEBCI_CHANNELS * sizeof(counts[0]))) {
            finished = edgebci_push_samples(&context, counts, header[0]);
        } else {
            stream_end(1);
        }
        if (finished) {
            publish();
        }
    }
    edgebci_stream_put(&context, sizeof(context));
    header[0] = stream_stack_bytes();
    header[1] = sizeof(context);
    edgebci_stream_put(header, sizeof(header));
    stream_end(0);
    for (;;) {
    }
}
