/* Products of integers as the cores with the DSP extension have them, and the same bits in plain C elsewhere. */
#ifndef EDGEBCI_FIXED_H
#define EDGEBCI_FIXED_H

#include <stdint.h>

/* Two numbers in one word, the first in the lower half. */
typedef union {
    int16_t half[2];
    uint32_t word;
} edgebci_two_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__arm__) && !defined(EDGEBCI_PORTABLE)

/* start + x[0] * y[0] + x[1] * y[1] */
static inline int32_t edgebci_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    int32_t sum;
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
    return sum;
}

/* Upper word of a * b, rounded. */
static inline int32_t edgebci_high(int32_t a, int32_t b)
{
    int32_t product;
    __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

/* start + upper word of a * b, rounded. */
static inline int32_t edgebci_high_sum(int32_t start, int32_t a, int32_t b)
{
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(start));
    return sum;
}

/* Limit to 16 bits. */
static inline int32_t edgebci_saturate16(int32_t v)
{
    __asm__("ssat %0, #16, %0" : "+r"(v));
    return v;
}

#else

static inline int32_t edgebci_saturate16(int32_t v)
{
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
}

static inline int32_t edgebci_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    return start + x.half[0] * y.half[0] + x.half[1] * y.half[1];
}

static inline int32_t edgebci_high(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
}

static inline int32_t edgebci_high_sum(int32_t start, int32_t a, int32_t b)
{
    return start + edgebci_high(a, b);
}

#endif

#endif
