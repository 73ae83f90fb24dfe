/* A program with its own start: it copies its variables, computes, prints and exits through semihosting. */
#include <stdint.h>

extern uint32_t data_start[], data_end[], data_stored[], stack_top[];

volatile uint32_t factor = 7;
volatile uint32_t total;

void reset(void);
uint32_t sum_to(uint32_t n);
void stopped_by_bkpt(void);
void asks_for_a_file(void);
void reads_a_peripheral(void);

__attribute__((section(".vectors"), used)) void *const vectors[2] = {stack_top, (void *)reset};

static int semihosting(int operation, const void *argument)
{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

__attribute__((noinline)) uint32_t sum_to(uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 1; i <= n; i++) {
        sum += i * factor;
    }
    return sum;
}

void reset(void)
{
    for (uint32_t *to = data_start, *from = data_stored; to < data_end;) {
        *to++ = *from++;
    }
    total = sum_to(100);
    semihosting(0x04, total == 35350 ? "right\n" : "wrong\n");
    const uint32_t end[2] = {0x20026, 3};
    semihosting(0x20, end);
    for (;;) {
    }
}

void stopped_by_bkpt(void)
{
    total = 5;
    __asm volatile("bkpt 1");
}

void asks_for_a_file(void) { semihosting(0x01, "name"); }

void reads_a_peripheral(void) { total = *(volatile uint32_t *)0x40001000; }
