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

/* 64 bits. */
typedef struct {
    uint32_t low, high;
} edgebci_wide_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__arm__) && !defined(EDGEBCI_PORTABLE)

#define EDGEBCI_HAS_PAIRS 1

/* A number that stays in a register: compilers would rather make a constant anew, in two instructions, at every use. */
#define EDGEBCI_KEEP(value) __asm__("" : "+r"(value))

/* The same of a float that is made here and used much later. */
#if defined(__ARM_FP)
#define EDGEBCI_KEEP_FLOAT(value) __asm__ volatile("" : "+t"(value))
#else
#define EDGEBCI_KEEP_FLOAT(value) (void)(value)
#endif

/* Compilers interleave what may be interleaved until the registers run out, and join loads to pairs that take longer:
 * on a core that starts one instruction at a time, products, loads and stores of filters stay as they are written. */
#if __ARM_ARCH == 7 && defined(__ARM_FPV5__)
#define EDGEBCI_IN_ORDER
#else
#define EDGEBCI_IN_ORDER volatile
#endif

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
    __asm__ EDGEBCI_IN_ORDER("qsub16 %0, %1, %2" : "=r"(result.word) : "r"(x.word), "r"(y.word));
    return result;
}

static inline edgebci_two_t edgebci_sum_of_two(edgebci_two_t x, edgebci_two_t y)
{
    edgebci_two_t result;
    __asm__ EDGEBCI_IN_ORDER("sadd16 %0, %1, %2" : "=r"(result.word) : "r"(x.word), "r"(y.word));
    return result;
}

/* Two ones, in a register. */
static inline edgebci_two_t edgebci_ones(void)
{
    edgebci_two_t ones;
    ones.word = 0x00010001u;
    EDGEBCI_KEEP(ones.word);
    return ones;
}

/* Numbers between two rails, in registers: what brings the lowest to 0, and what the highest then is. */
typedef struct {
    uint32_t start, most;
} edgebci_range_t;

static inline edgebci_range_t edgebci_range_of(int32_t lower_rail, int32_t upper_rail)
{
    edgebci_range_t range;
    range.start = ((uint32_t)(-lower_rail - 1) & 0xFFFFu) * 0x10001u;
    range.most = ((uint32_t)(upper_rail - lower_rail - 2) & 0xFFFFu) * 0x10001u;
    EDGEBCI_KEEP(range.start);
    EDGEBCI_KEEP(range.most);
    return range;
}

/* 0 if both are between the rails. */
static inline uint32_t edgebci_beyond(edgebci_two_t x, edgebci_range_t range)
{
    uint32_t result;
    __asm__("uadd16 %0, %1, %2\n\tuqsub16 %0, %0, %3" : "=&r"(result) : "r"(x.word), "r"(range.start), "r"(range.most));
    return result;
}

/* start + x[0] * y[0] + x[1] * y[1] */
static inline int32_t edgebci_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    int32_t sum;
    __asm__ EDGEBCI_IN_ORDER("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
    return sum;
}

/* start + x[0] * y[1] + x[1] * y[0] */
static inline int32_t edgebci_crossed_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    int32_t sum;
    __asm__ EDGEBCI_IN_ORDER("smladx %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
    return sum;
}

/* x[0] and y[1] */
static inline edgebci_two_t edgebci_first_and_second(edgebci_two_t x, edgebci_two_t y)
{
    edgebci_two_t both;
    __asm__ EDGEBCI_IN_ORDER("pkhbt %0, %1, %2" : "=r"(both.word) : "r"(x.word), "r"(y.word));
    return both;
}

/* start + x[i] * y[j]; i and j are constants. */
static EDGEBCI_INLINE int32_t edgebci_product(int32_t start, edgebci_two_t x, uint32_t i, edgebci_two_t y, uint32_t j)
{
    int32_t sum;
    if (i) {
        if (j) {
            __asm__ EDGEBCI_IN_ORDER("smlatt %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        } else {
            __asm__ EDGEBCI_IN_ORDER("smlatb %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        }
    } else {
        if (j) {
            __asm__ EDGEBCI_IN_ORDER("smlabt %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        } else {
            __asm__ EDGEBCI_IN_ORDER("smlabb %0, %1, %2, %3" : "=r"(sum) : "r"(x.word), "r"(y.word), "r"(start));
        }
    }
    return sum;
}

/* start + ((v * x[i]) >> 16); i is a constant. */
static EDGEBCI_INLINE int32_t edgebci_scaled_half(int32_t start, int32_t v, edgebci_two_t x, uint32_t i)
{
    int32_t sum;
    if (i) {
        __asm__ EDGEBCI_IN_ORDER("smlawt %0, %1, %2, %3" : "=r"(sum) : "r"(v), "r"(x.word), "r"(start));
    } else {
        __asm__ EDGEBCI_IN_ORDER("smlawb %0, %1, %2, %3" : "=r"(sum) : "r"(v), "r"(x.word), "r"(start));
    }
    return sum;
}

/* (v * x[1]) >> 16 */
static inline int32_t edgebci_scaled_second(int32_t v, edgebci_two_t x)
{
    int32_t product;
    __asm__ EDGEBCI_IN_ORDER("smulwt %0, %1, %2" : "=r"(product) : "r"(v), "r"(x.word));
    return product;
}

/* Upper word of a * b, rounded. */
static inline int32_t edgebci_high(int32_t a, int32_t b)
{
    int32_t product;
    __asm__ EDGEBCI_IN_ORDER("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
}

/* start + upper word of a * b, rounded. */
static inline int32_t edgebci_high_sum(int32_t start, int32_t a, int32_t b)
{
    int32_t sum;
    __asm__ EDGEBCI_IN_ORDER("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(start));
    return sum;
}

/* start - upper word of a * b, rounded. */
static inline int32_t edgebci_high_difference(int32_t start, int32_t a, int32_t b)
{
    int32_t difference;
    __asm__ EDGEBCI_IN_ORDER("smmlsr %0, %1, %2, %3" : "=r"(difference) : "r"(a), "r"(b), "r"(start));
    return difference;
}

/* sum + v * v */
static inline void edgebci_add_square(edgebci_wide_t *sum, int32_t v)
{
    __asm__ EDGEBCI_IN_ORDER("smlal %0, %1, %2, %2" : "+r"(sum->low), "+r"(sum->high) : "r"(v));
}

/* Limit to 16 bits. */
static inline int32_t edgebci_saturate16(int32_t v)
{
    __asm__("ssat %0, #16, %0" : "+r"(v));
    return v;
}

#else

/* Sums wrap, as those of the instructions do: a part of a sum may be larger than the whole. */
#define EDGEBCI_HAS_PAIRS 0
#define EDGEBCI_IN_ORDER
#define EDGEBCI_KEEP(value) (void)(value)
#define EDGEBCI_KEEP_FLOAT(value) (void)(value)

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
    return (int32_t)((uint32_t)start + (uint32_t)(x.half[0] * y.half[0]) + (uint32_t)(x.half[1] * y.half[1]));
}

static inline int32_t edgebci_crossed_dot2(int32_t start, edgebci_two_t x, edgebci_two_t y)
{
    return (int32_t)((uint32_t)start + (uint32_t)(x.half[0] * y.half[1]) + (uint32_t)(x.half[1] * y.half[0]));
}

static inline edgebci_two_t edgebci_first_and_second(edgebci_two_t x, edgebci_two_t y)
{
    edgebci_two_t both;
    both.half[0] = x.half[0];
    both.half[1] = y.half[1];
    return both;
}

static inline int32_t edgebci_high(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
}

static inline int32_t edgebci_high_sum(int32_t start, int32_t a, int32_t b)
{
    return start + edgebci_high(a, b);
}

static inline int32_t edgebci_high_difference(int32_t start, int32_t a, int32_t b)
{
    return start + (int32_t)((0x80000000LL - (int64_t)a * b) >> 32);
}

static inline void edgebci_add_square(edgebci_wide_t *sum, int32_t v)
{
    const uint64_t total = ((uint64_t)sum->high << 32 | sum->low) + (uint64_t)((int64_t)v * v);
    sum->low = (uint32_t)total;
    sum->high = (uint32_t)(total >> 32);
}

#endif

#endif
