/* Files by semihosting, on a board that QEMU emulates: pushes come from the file `pushes`, frames go to the file `frames`.
 *
 * Operations: Arm, Semihosting for AArch32 and AArch64. Reading and writing return how many bytes were left. */
#ifndef EDGEBCI_STREAM_SEMIHOSTING_H
#define EDGEBCI_STREAM_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

#define EDGEBCI_ENTRY __attribute__((noreturn))
#define COPROCESSORS (*(volatile uint32_t *)0xE000ED88u) /* CPACR */

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06, EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
#define PAINT 0xA5A5A5A5u
#define PAINTED_WORDS 16384
enum { MODE_READ = 1, MODE_WRITE = 5 }; /* "rb", "wb" */

extern uint32_t edgebci_stack_top[]; /* of the linker script */
void edgebci_reset_entry(void);
void _start(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {edgebci_stack_top, (void *)edgebci_reset_entry};

static uint32_t pushes, frames;

static uint32_t semihost(uint32_t operation, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t block[3] = {a, b, c};
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t *r1 __asm("r1") = block;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static size_t stream_read(void *to, size_t size)
{
    return size - semihost(READ, pushes, (uint32_t)to, size);
}

static size_t stream_write(void *from, size_t size)
{
    return size - semihost(WRITE, frames, (uint32_t)from, size);
}

static void stream_end(int status)
{
    (void)semihost(EXIT_EXTENDED, APPLICATION_EXIT, (uint32_t)status, 0);
}

/* The stack is painted below where it stands, and later what is left of the paint tells how deep it was. */
static uint32_t *stream_stack_bottom(void)
{
    return edgebci_stack_top - PAINTED_WORDS;
}

static void stream_paint(void)
{
    uint32_t here;
    for (volatile uint32_t *at = stream_stack_bottom(); at < &here - 16; at++) {
        *at = PAINT;
    }
}

static uint32_t stream_stack_bytes(void)
{
    const volatile uint32_t *at = stream_stack_bottom();
    while (at < edgebci_stack_top && *at == PAINT) {
        at++;
    }
    return (uint32_t)(edgebci_stack_top - at) * sizeof(*at);
}

static void stream_begin(void)
{
    stream_paint();
    static const char in[] = "pushes", out[] = "frames";
    pushes = semihost(OPEN, (uint32_t)in, MODE_READ, sizeof(in) - 1);
    frames = semihost(OPEN, (uint32_t)out, MODE_WRITE, sizeof(out) - 1);
}

/* Floating point and vectors are off after a reset; nothing before the jump may use them. */
__attribute__((noreturn)) void edgebci_reset_entry(void)
{
    COPROCESSORS |= 0xFu << 20;
    __asm volatile("dsb\n\tisb\n\tb _start" ::: "memory");
    __builtin_unreachable();
}

#endif
