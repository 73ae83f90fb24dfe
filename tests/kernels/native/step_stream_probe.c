/* The decoder's step alone, on a core that runs a program on its own: frames come in as one stream, the outputs of each go out,
 * and at the end the context. */
#include <stddef.h>

#include "decoder.h"
#if defined(__arm__)
#include "stream_semihosting.h"
#else
#include "stream_linux.h"
#endif

static edgebci_t context;

void edgebci_decoder_step(edgebci_t *c);
void edgebci_stream_put(const void *from, size_t size);
void _start(void);

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

/* Called once for each frame, which is how a profile knows where a step ends. */
__attribute__((noinline)) void edgebci_stream_put(const void *from, size_t size)
{
    if (stream_write((void *)(size_t)from, size) != size) {
        stream_end(1);
    }
}

EDGEBCI_ENTRY void _start(void)
{
    stream_begin();
    edgebci_init(&context);
    while (get(context.frame, sizeof context.frame)) {
        edgebci_decoder_step(&context);
        edgebci_stream_put(context.output.values, sizeof context.output.values);
    }
    edgebci_stream_put(&context, sizeof context);
    (void)stream_stack_bytes();
    stream_end(0);
    for (;;) {
    }
}
