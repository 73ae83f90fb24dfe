/* edgebci.Dense on a processor with vectors of bytes: the kernels of the portable edgebci_dense.h, which says what they
 * compute, by AVX2, AVX-512 VNNI or NEON. Sums of integers are exact, so every order gives the same bits.
 *
 * A product of |q| <= 128 and a weight <= 127 with the sign of q is below 2^14, and two of them fit 16 bits.
 */
#ifndef EDGEBCI_DENSE_H
#define EDGEBCI_DENSE_H

#include <stddef.h>
#include <stdint.h>

#include "edgebci_vector.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

typedef struct {
    uint32_t rows;
    const int8_t *weight; /* [rows][columns] */
    const float *scale;   /* [rows], activation scale times weight scale */
    const float *bias;    /* [rows], or NULL: none */
} edgebci_dense_t;

static inline int32_t edgebci_dense_rest(const int8_t *w, uint32_t from, uint32_t columns, const int8_t *q)
{
    int32_t sum = 0;
    for (uint32_t j = from; j < columns; j++) {
        sum += w[j] * q[j];
    }
    return sum;
}

#if defined(__AVX2__)

#define EDGEBCI_DENSE_BLOCK 32u
typedef __m256i edgebci_dense_sums;

static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_zero(void)
{
    return _mm256_setzero_si256();
}

/* Adds the products of 32 columns to eight sums. */
static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_block(edgebci_dense_sums sums, const int8_t *w,
                                                             const int8_t *q)
{
    const __m256i x = _mm256_loadu_si256((const __m256i_u *)q);
    const __m256i signed_w = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i_u *)w), x);
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpbusd_epi32(sums, _mm256_abs_epi8(x), signed_w);
#elif defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sums, _mm256_abs_epi8(x), signed_w);
#else
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), signed_w);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

/* The four totals. */
static EDGEBCI_INLINE void edgebci_dense_totals(edgebci_dense_sums a, edgebci_dense_sums b, edgebci_dense_sums c,
                                                edgebci_dense_sums d, int32_t *totals)
{
    const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storeu_si128((__m128i_u *)totals, both);
}

#elif defined(__ARM_NEON)

#define EDGEBCI_DENSE_BLOCK 16u
typedef int32x4_t edgebci_dense_sums;

static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_zero(void)
{
    return vdupq_n_s32(0);
}

/* Adds the products of 16 columns to four sums. */
static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_block(edgebci_dense_sums sums, const int8_t *w,
                                                             const int8_t *q)
{
    const int8x16_t a = vld1q_s8(w), x = vld1q_s8(q);
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sums, a, x);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(x));
    return vpadalq_s16(sums, vmlal_s8(low, vget_high_s8(a), vget_high_s8(x)));
#endif
}

static EDGEBCI_INLINE void edgebci_dense_totals(edgebci_dense_sums a, edgebci_dense_sums b, edgebci_dense_sums c,
                                                edgebci_dense_sums d, int32_t *totals)
{
    const int32x2_t ab = vpadd_s32(vadd_s32(vget_low_s32(a), vget_high_s32(a)),
                                   vadd_s32(vget_low_s32(b), vget_high_s32(b)));
    const int32x2_t cd = vpadd_s32(vadd_s32(vget_low_s32(c), vget_high_s32(c)),
                                   vadd_s32(vget_low_s32(d), vget_high_s32(d)));
    vst1q_s32(totals, vcombine_s32(ab, cd));
}

#else

#define EDGEBCI_DENSE_BLOCK 1u
typedef int32_t edgebci_dense_sums;

static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_zero(void)
{
    return 0;
}

static EDGEBCI_INLINE edgebci_dense_sums edgebci_dense_block(edgebci_dense_sums sums, const int8_t *w,
                                                             const int8_t *q)
{
    return sums + *w * *q;
}

static EDGEBCI_INLINE void edgebci_dense_totals(edgebci_dense_sums a, edgebci_dense_sums b, edgebci_dense_sums c,
                                                edgebci_dense_sums d, int32_t *totals)
{
    totals[0] = a;
    totals[1] = b;
    totals[2] = c;
    totals[3] = d;
}

#endif

/* Four rows at a time, over whole blocks of columns. */
static EDGEBCI_INLINE void edgebci_dense_four_rows(const int8_t *w, uint32_t columns, const int8_t *q, int32_t *sums)
{
    const uint32_t whole = columns - columns % EDGEBCI_DENSE_BLOCK;
    edgebci_dense_sums s0 = edgebci_dense_zero(), s1 = s0, s2 = s0, s3 = s0;
    for (uint32_t j = 0; j < whole; j += EDGEBCI_DENSE_BLOCK) {
        s0 = edgebci_dense_block(s0, w + j, q + j);
        s1 = edgebci_dense_block(s1, w + columns + j, q + j);
        s2 = edgebci_dense_block(s2, w + 2 * columns + j, q + j);
        s3 = edgebci_dense_block(s3, w + 3 * columns + j, q + j);
    }
    edgebci_dense_totals(s0, s1, s2, s3, sums);
    for (uint32_t i = 0; i < 4 && whole < columns; i++) {
        sums[i] += edgebci_dense_rest(w + i * columns, whole, columns, q);
    }
}

static EDGEBCI_INLINE void edgebci_dense(const edgebci_dense_t *d, uint32_t columns, const int8_t *restrict q,
                                         float *restrict y)
{
    const int8_t *w = d->weight;
    uint32_t row = 0;
    for (; row + 4 <= d->rows; row += 4, w += 4 * columns) {
        int32_t sums[4];
        edgebci_dense_four_rows(w, columns, q, sums);
        for (uint32_t i = 0; i < 4; i++) {
            y[row + i] = edgebci_scaled(sums[i], d->scale, d->bias, row + i);
        }
    }
    for (; row < d->rows; row++, w += columns) {
        y[row] = edgebci_scaled(edgebci_dense_rest(w, 0, columns, q), d->scale, d->bias, row);
    }
}

#define EDGEBCI_DEFINE_DENSE(name, columns)                                                                  \
    static EDGEBCI_KERNEL void name(const edgebci_dense_t *d, const int8_t *restrict q, float *restrict y)   \
    {                                                                                                        \
        edgebci_dense(d, columns, q, y);                                                                     \
    }

#endif
