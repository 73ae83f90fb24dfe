/* The program as a process of Linux, for cores that qemu-user runs: pushes come from standard input, frames go to standard output.
 *
 * A push is a header of two words, how many rows and whether they are missing, and the rows (none where they are missing). A frame is
 * its EDGEBCI_OUTPUTS floats and a word, its valid flag. There is no C library: three calls of the system do. */
#include <stddef.h>

#include "decoder.h"

#if defined(__x86_64__)
#define ENTRY __attribute__((force_align_arg_pointer)) /* a process starts with another alignment than a function */
enum { CALL_READ = 0, CALL_WRITE = 1, CALL_EXIT = 60 };
static long call(long number, long a, void *b, long c)
{
    long result;
    __asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { CALL_READ = 63, CALL_WRITE = 64, CALL_EXIT = 93 };
static long call(long number, long a, void *b, long c)
{
    register long x8 __asm("x8") = number;
    register long x0 __asm("x0") = a;
    register void *x1 __asm("x1") = b;
    register long x2 __asm("x2") = c;
    __asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#elif defined(__riscv)
enum { CALL_READ = 63, CALL_WRITE = 64, CALL_EXIT = 93 };
static long call(long number, long a, void *b, long c)
{
    register long a7 __asm("a7") = number;
    register long a0 __asm("a0") = a;
    register void *a1 __asm("a1") = b;
    register long a2 __asm("a2") = c;
    __asm volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#else
#error "no system calls for this core"
#endif
#ifndef ENTRY
#define ENTRY
#endif

typedef struct {
    float values[EDGEBCI_OUTPUTS];
    uint32_t valid;
} frame_t;

static edgebci_t context;
static edgebci_count_t counts[EDGEBCI_SAMPLES_PER_FRAME * EDGEBCI_CHANNELS];

void _start(void);

/* Whether all of it came. */
static int get(void *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const long n = call(CALL_READ, 0, (char *)to + at, (long)(size - at));
        if (n <= 0) {
            return 0;
        }
        at += (size_t)n;
    }
    return 1;
}

static void put(void *from, size_t size)
{
    for (size_t at = 0; at < size;) {
        const long n = call(CALL_WRITE, 1, (char *)from + at, (long)(size - at));
        if (n <= 0) {
            (void)call(CALL_EXIT, 1, NULL, 0);
        }
        at += (size_t)n;
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
    put(&frame, sizeof(frame));
}

ENTRY void _start(void)
{
    uint32_t header[2];
    edgebci_init(&context);
    while (get(header, sizeof(header))) {
        uint32_t frames = 0;
        if (header[1]) {
            frames = edgebci_push_missing(&context, header[0]);
        } else if (header[0] <= EDGEBCI_SAMPLES_PER_FRAME && get(counts, header[0] * EDGEBCI_CHANNELS * sizeof(counts[0]))) {
            frames = edgebci_push_samples(&context, counts, header[0]);
        } else {
            (void)call(CALL_EXIT, 1, NULL, 0);
        }
        if (frames) {
            publish();
        }
    }
    (void)call(CALL_EXIT, 0, NULL, 0);
}
