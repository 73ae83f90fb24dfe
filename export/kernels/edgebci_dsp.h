/* Packed 16-bit arithmetic: the instructions of Arm's DSP extension, and a C twin of the same bits for other machines.
 *
 * A pair is two int16 in one word, the first in its low half. Sums wrap modulo 2^32, as the instructions do; names are
 * those of the instructions, which the Arm v7-M and v8-M Architecture Reference Manuals define.
 */
#ifndef EDGEBCI_DSP_H
#define EDGEBCI_DSP_H

#include <stdint.h>

#include "edgebci_math.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__arm__)
#define EDGEBCI_HAS_DSP 1
#include <arm_acle.h>
#else
#define EDGEBCI_HAS_DSP 0
#endif

static inline int32_t edgebci_low_half(uint32_t pair)
{
    return (int16_t)(uint16_t)pair;
}

static inline int32_t edgebci_high_half(uint32_t pair)
{
    return (int16_t)(uint16_t)(pair >> 16);
}

static inline uint32_t edgebci_pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

#if EDGEBCI_HAS_DSP
typedef uint32_t __attribute__((may_alias)) edgebci_word_t;
#endif

/* The compiler has all of these in registers here, so that it loads them one right after the other: a load after a load
 * takes one cycle less on a Cortex-M4. */
#if EDGEBCI_HAS_DSP
#define EDGEBCI_LOADED_2(a, b) __asm__("" : "+r"(a), "+r"(b))
#define EDGEBCI_LOADED_4(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))
#define EDGEBCI_LOADED_5(a, b, c, d, e) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e))
#else
#define EDGEBCI_LOADED_2(a, b) (void)0
#define EDGEBCI_LOADED_4(a, b, c, d) (void)0
#define EDGEBCI_LOADED_5(a, b, c, d, e) (void)0
#endif

/* Two int16 that lie side by side on a word. */
static inline uint32_t edgebci_load_pair(const int16_t *at)
{
#if EDGEBCI_HAS_DSP
    return *(const edgebci_word_t *)(const void *)at;
#else
    return edgebci_pair(at[0], at[1]);
#endif
}

static inline void edgebci_store_pair(int16_t *at, uint32_t pair)
{
#if EDGEBCI_HAS_DSP
    *(edgebci_word_t *)(void *)at = pair;
#else
    at[0] = (int16_t)edgebci_low_half(pair);
    at[1] = (int16_t)edgebci_high_half(pair);
#endif
}

/* sum + x.low y.low + x.high y.high */
static inline int32_t edgebci_smlad(uint32_t x, uint32_t y, int32_t sum)
{
#if EDGEBCI_HAS_DSP
    return __smlad((int16x2_t)x, (int16x2_t)y, sum);
#else
    const uint32_t low = (uint32_t)(edgebci_low_half(x) * edgebci_low_half(y));
    const uint32_t high = (uint32_t)(edgebci_high_half(x) * edgebci_high_half(y));
    return (int32_t)((uint32_t)sum + low + high);
#endif
}

/* The low bytes of both halves, with their signs. */
static inline uint32_t edgebci_sxtb16(uint32_t pair)
{
#if EDGEBCI_HAS_DSP
    return (uint32_t)__sxtb16((int8x4_t)pair);
#else
    return edgebci_pair((int8_t)(uint8_t)pair, (int8_t)(uint8_t)(pair >> 16));
#endif
}

/* sum + (x y + 2^31) / 2^32, rounded down: x y / 2^32 to the nearest integer, halves up. */
static inline int32_t edgebci_smmlar(int32_t x, int32_t y, int32_t sum)
{
#if EDGEBCI_HAS_DSP
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
#else
    const uint64_t scaled = (uint64_t)((int64_t)x * y) + ((uint64_t)(uint32_t)sum << 32) + 0x80000000u;
    return (int32_t)(uint32_t)(scaled >> 32);
#endif
}

/* sum + x y.low / 2^16, rounded down; x has 32 bits. */
static inline int32_t edgebci_smlawb(int32_t x, uint32_t y, int32_t sum)
{
#if EDGEBCI_HAS_DSP
    return __smlawb(x, (int32_t)y, sum);
#else
    return (int32_t)((uint32_t)sum + (uint32_t)((uint64_t)((int64_t)x * edgebci_low_half(y)) >> 16));
#endif
}

/* sum + x y.high / 2^16, rounded down. */
static inline int32_t edgebci_smlawt(int32_t x, uint32_t y, int32_t sum)
{
#if EDGEBCI_HAS_DSP
    return __smlawt(x, (int32_t)y, sum);
#else
    return (int32_t)((uint32_t)sum + (uint32_t)((uint64_t)((int64_t)x * edgebci_high_half(y)) >> 16));
#endif
}

/* sum + x.low y.low + x.high y.high in 64 bits. */
static inline int64_t edgebci_smlald(uint32_t x, uint32_t y, int64_t sum)
{
#if EDGEBCI_HAS_DSP
    return __smlald((int16x2_t)x, (int16x2_t)y, sum);
#else
    const int64_t low = edgebci_low_half(x) * edgebci_low_half(y);
    const int64_t high = edgebci_high_half(x) * edgebci_high_half(y);
    return sum + low + high;
#endif
}

/* Limit to int14. */
static inline int32_t edgebci_ssat14(int32_t v)
{
#if EDGEBCI_HAS_DSP
    return __ssat(v, 14);
#else
    return v < -8192 ? -8192 : v > 8191 ? 8191 : v;
#endif
}

/* Limit to int16. */
static inline int32_t edgebci_ssat16(int32_t v)
{
#if EDGEBCI_HAS_DSP
    return __ssat(v, 16);
#else
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
#endif
}

#endif
