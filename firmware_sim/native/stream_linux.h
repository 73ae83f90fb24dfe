/* Three calls of Linux, on the processors that qemu-user runs: standard input, standard output, and the end. */
#ifndef EDGEBCI_STREAM_LINUX_H
#define EDGEBCI_STREAM_LINUX_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define EDGEBCI_ENTRY __attribute__((force_align_arg_pointer)) /* a process starts with another alignment than a function */
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
#ifndef EDGEBCI_ENTRY
#define EDGEBCI_ENTRY
#endif

/* Bytes that came, 0 at the end. */
static size_t stream_read(void *to, size_t size)
{
    const long n = call(CALL_READ, 0, to, (long)size);
    return n > 0 ? (size_t)n : 0;
}

static size_t stream_write(void *from, size_t size)
{
    const long n = call(CALL_WRITE, 1, from, (long)size);
    return n > 0 ? (size_t)n : 0;
}

static void stream_end(int status)
{
    (void)call(CALL_EXIT, status, NULL, 0);
}

static uint32_t stream_stack_bytes(void)
{
    return 0; /* not known */
}

static void stream_begin(void)
{
}

#endif
