/* Products of integers as the cores with the DSP extension have them, and the same bits in plain C elsewhere. */
#ifndef EDGEBCI_FIXED_H
#define EDGEBCI_FIXED_H

#include <stdint.h>

#include "edgebci_math.h"

/* Two numbers in one word, the first in the lower half. */
typedef union {
    int16_t half[2];
    uint32_t word;
} edgebci_two_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__arm__) && !defined(EDGEBCI_PORTABLE)

#define EDGEBCI_HAS_PAIRS 1

/* A number that stays in a register: compilers would rather make a constant anew, in two instructions, at every use. */
#define EDGEBCI_KEEP(value) __asm__("" : "+r"(value))

/* Two neighbours, wherever they lie: these cores load and store words at any even address. */
typedef uint32_t __attribute__((may_alias, aligned(2))) edgebci_any_word_t;

static inline edgebci_two_t edgebci_load_two(const int16_t *at)
{
    edgebci_two_t two;
    two.word = *(const edgebci_any_word_t *)(const void *)at;
    return two;
}

static inline void edgebci_store_two(int16_t *at, edgebci_two_t two)
{
    *(edgebci_any_word_t *)(void *)at = two.word;
}

/* x - y, each limited to 16 bits. */
static inline edgebci_two_t edgebci_saturating_difference(edgebci_two_t x, edgebci_two_t y)
{
    edgebci_two_t result;
    __asm__("qsub16 %0, %1, %2" : "=r"(result.word) : "r"(x.word), "r"(y.word));
    return result;
}

static inline edgebci_two_t edgebci_sum_of_two(edgebci_two_t x, edgebci_two_t y)
{
    edgebci_two_t result;
    __asm__("sadd16 %0, %1, %2" : "=r"(result.word) : "r"(x.word), "r"(y.word));
    return result;
}

/* sum + x[0] + x[1] */
static inline int32_t edgebci_add_both(int32_t sum, edgebci_two_t x)
{
    edgebci_two_t ones;
    ones.word = 0x00010001u;
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(x.word), "r"(ones.word), "r"(sum));
    return result;
}

/* Whether one of two is not between the rails: counted from above the lower one, it reaches the upper one's place. */
static inline uint32_t edgebci_any_outside(edgebci_two_t x, int32_t lowest, int32_t highest)
{
    const uint32_t start = (uint32_t)(-lowest - 1) & 0xFFFFu, span = (uint32_t)(highest - lowest - 1) & 0xFFFFu;
    uint32_t result;
    __asm__("uadd16 %0, %1, %2\n\tusub16 r12, %0, %3\n\tsel %0, %0, %4"
            : "=&r"(result)
            : "r"(x.word), "r"(start * 0x10001u), "r"(span * 0x10001u), "r"(0u)
            : "r12", "cc");
    return result;
}

/* start + x[0] * y[0] + x[1] * y[1] */
static inline int32_t edgebci_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    int32_t sum;
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
    return sum;
}

/* start + x[i] * y[j]; i and j are constants. */
static EDGEBCI_INLINE int32_t edgebci_product(int32_t start, edgebci_two_t x, uint32_t i, edgebci_two_t y, uint32_t j)
{
    int32_t sum;
    if (i) {
        if (j) {
            __asm__("smlatt %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        } else {
            __asm__("smlatb %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        }
    } else {
        if (j) {
            __asm__("smlabt %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        } else {
            __asm__("smlabb %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        }
    }
    return sum;
}

/* start + ((v * x[i]) >> 16); i is a constant. */
static EDGEBCI_INLINE int32_t edgebci_scaled_half(int32_t start, int32_t v, edgebci_two_t x, uint32_t i)
{
    int32_t sum;
    if (i) {
        __asm__("smlawt %0, %1, %2, %3" : "=r"(sum) : "r"(v), "r"(x.word), "r"(start));
    } else {
        __asm__("smlawb %0, %1, %2, %3" : "=r"(sum) : "r"(v), "r"(x.word), "r"(start));
    }
    return sum;
}

/* (v * x[1]) >> 16 */
static inline int32_t edgebci_scaled_second(int32_t v, edgebci_two_t x)
{
    int32_t product;
    __asm__("smulwt %0, %1, %2" : "=r"(product) : "r"(v), "r"(x.word));
    return product;
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

#define EDGEBCI_HAS_PAIRS 0
#define EDGEBCI_KEEP(value) (void)(value)

static inline int32_t edgebci_saturate16(int32_t v)
{
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
}

static inline int32_t edgebci_product(int32_t start, edgebci_two_t x, uint32_t i, edgebci_two_t y, uint32_t j)
{
    return start + x.half[i] * y.half[j];
}

static inline int32_t edgebci_scaled_half(int32_t start, int32_t v, edgebci_two_t x, uint32_t i)
{
    return start + (int32_t)(((int64_t)v * x.half[i]) >> 16);
}

static inline int32_t edgebci_scaled_second(int32_t v, edgebci_two_t x)
{
    return edgebci_scaled_half(0, v, x, 1u);
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
