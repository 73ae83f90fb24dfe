/* Small programs as a compiler makes them, for parity between ways of counting and for the cycle model. */
#include <stdint.h>

float expf(float x);

int8_t weights[256 * 256];
int8_t activations[256];
int32_t sums[256];
float float_weights[256 * 256];
float float_activations[256];
float float_sums[256];
int32_t divisor = 3;

void dense(uint32_t rows, uint32_t columns) {
    for (uint32_t i = 0; i < rows; i++) {
        int32_t sum = 0;
        for (uint32_t j = 0; j < columns; j++) {
            sum += (int32_t)weights[i * columns + j] * activations[j];
        }
        sums[i] = sum;
    }
}

void float_dense(uint32_t rows, uint32_t columns) {
    for (uint32_t i = 0; i < rows; i++) {
        float sum = 0.0f;
        for (uint32_t j = 0; j < columns; j++) {
            sum += float_weights[i * columns + j] * float_activations[j];
        }
        float_sums[i] = sum;
    }
}

void exponentials(uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        float_sums[i] = expf((float)i * 0.05f - 6.0f);
    }
}

/* Branchy: conditional instructions, division, saturation. */
uint32_t collatz(uint32_t n) {
    uint32_t steps = 0;
    for (; n != 1; steps++) {
        n = (n & 1) ? 3 * n + 1 : n / 2;
    }
    return steps;
}

void saturate(uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        int32_t v = ((int32_t)i - 100) * 7 / divisor;
        sums[i] = v > 127 ? 127 : v < -128 ? -128 : v;
    }
}

__attribute__((noinline)) uint32_t fibonacci(uint32_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

uint32_t deep_stack(uint32_t n) {
    volatile uint32_t filler[64];
    filler[n % 64] = n;
    return n ? deep_stack(n - 1) + filler[n % 64] : 0;
}

/* Faults. */
void spin(void) {
    for (volatile uint32_t x = 0;;) {
        x++;
    }
}
void undefined_instruction(void) { __asm volatile("udf #0"); }
void double_precision(void) { __asm volatile(".inst.w 0xee310b02"); }
uint32_t read_null(void) { return *(volatile uint32_t *)0; }
void write_code(void) { *(volatile uint32_t *)0x08000000 = 1; }
void write_past_everything(void) { *(volatile int32_t *)(sums + 1000000) = 1; }
void jump_into_data(void) { ((void (*)(void))((uintptr_t)activations | 1))(); }
