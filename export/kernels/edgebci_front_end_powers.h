/* The powers of the front end in fixed point: exponential averages and their logarithms. */
#ifndef EDGEBCI_FRONT_END_POWERS_H
#define EDGEBCI_FRONT_END_POWERS_H

#include <stdint.h>

#include "edgebci_front_end_fixed.h"
#include "front_end_tables.h"

#define EDGEBCI_LN2 0x1.62e43p-1f

/* Natural logarithms of n positive normal numbers, by a table and two terms. */
static EDGEBCI_INLINE void logarithms(float *restrict x, uint32_t n)
{
    float r[EDGEBCI_TOGETHER], start[EDGEBCI_TOGETHER], exponent[EDGEBCI_TOGETHER], square[EDGEBCI_TOGETHER];
    for (uint32_t j = 0; j < n; j++) {
        const uint32_t bits = edgebci_bits(x[j]), part = (bits >> (23 - EDGEBCI_LOG_BITS)) & ((1u << EDGEBCI_LOG_BITS) - 1u);
        const float mantissa = edgebci_from_bits((bits & 0x007FFFFFu) | 0x3F800000u);
        r[j] = mantissa * edgebci_log_table[part][0];
        start[j] = edgebci_log_table[part][1];
        exponent[j] = (float)((int32_t)(bits >> 23) - 127);
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = r[j] - 1.0f;
        exponent[j] = exponent[j] * EDGEBCI_LN2;
    }
    for (uint32_t j = 0; j < n; j++) {
        square[j] = r[j] * r[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        square[j] = square[j] * 0.5f;
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = r[j] - square[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        r[j] = start[j] + r[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] = exponent[j] + r[j];
    }
}

/* Of n channels from g on: the exponential average of a band's power, which never falls under the floor, and its
 * logarithm. */
static EDGEBCI_INLINE void log_power_of_some(float *restrict value, float *restrict power, uint32_t g, uint32_t n)
{
    float p[EDGEBCI_TOGETHER];
    for (uint32_t j = 0; j < n; j++) {
        p[j] = value[g + j] + EDGEBCI_FLOOR_UV2;
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = p[j] - power[g + j];
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = EDGEBCI_POWER_RATE * p[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        p[j] = power[g + j] + p[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        power[g + j] = p[j];
    }
    logarithms(p, n);
    for (uint32_t j = 0; j < n; j++) {
        value[g + j] = p[j];
    }
}

static EDGEBCI_KERNEL void log_power(float *restrict value, float *restrict power)
{
    uint32_t g = 0;
    for (; g + EDGEBCI_TOGETHER <= EDGEBCI_GOOD; g += EDGEBCI_TOGETHER) {
        log_power_of_some(value, power, g, EDGEBCI_TOGETHER);
    }
    for (; g < EDGEBCI_GOOD; g++) {
        log_power_of_some(value, power, g, 1u);
    }
}

#endif
