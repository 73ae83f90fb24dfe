/* Flat-argument forms of the vector kernels, for tests through ctypes. */
#include "edgebci_dense.h"
#include "edgebci_mamba2.h"
#include "edgebci_vector.h"

extern const char probe_instructions[32];
const char probe_instructions[32] = EDGEBCI_INSTRUCTIONS;

#define PROBE(name)                                                                               \
    void probe_##name(const float *x, uint32_t n, float *y);                                      \
    void probe_##name(const float *x, uint32_t n, float *y)                                       \
    {                                                                                             \
        for (uint32_t i = 0; i < n; i += 8u) edgebci_store8(y + i, edgebci_##name##8(edgebci_load8(x + i))); \
    }

PROBE(exp)
PROBE(silu)

void probe_quantize(const float *x, float inverse_scale, uint32_t n, int8_t *narrow, int16_t *wide);
void probe_quantize(const float *x, float inverse_scale, uint32_t n, int8_t *narrow, int16_t *wide)
{
    const edgebci_f8 by = edgebci_all8(inverse_scale);
    for (uint32_t i = 0; i < n; i += 8u) {
        edgebci_store_int8_8(narrow + i, edgebci_quantize_int8_8(edgebci_load8(x + i), by));
        edgebci_store_int16_8(wide + i, edgebci_quantize_int16_8(edgebci_load8(x + i), by));
    }
}

void probe_dense(uint32_t rows, uint32_t columns, const int8_t *weight, const float *scale, const float *bias,
                 const int8_t *q, float *y);
void probe_dense(uint32_t rows, uint32_t columns, const int8_t *weight, const float *scale, const float *bias,
                 const int8_t *q, float *y)
{
    const edgebci_dense_t d = {rows, weight, scale, bias};
    edgebci_dense(&d, columns, q, y);
}

typedef struct {
    uint32_t heads, headdim, state_size, taps;
} probe_shape_t;

void probe_mamba2_step(const edgebci_mamba2_t *m, const probe_shape_t *s, float *p, int16_t *conv, int16_t *ssm,
                       float *g);
void probe_mamba2_step(const edgebci_mamba2_t *m, const probe_shape_t *s, float *p, int16_t *conv, int16_t *ssm,
                       float *g)
{
    const uint32_t d_inner = s->heads * s->headdim, conv_dim = d_inner + 2 * s->state_size;
    float *u = p + d_inner, *B = u + d_inner, *C = B + s->state_size;
    edgebci_mamba2_convolution(m, conv_dim, s->taps, u, conv);
    edgebci_mamba2_state(m, s->heads, s->headdim, s->state_size, u, B, C, u + conv_dim, ssm, g);
    edgebci_mamba2_gate(p, d_inner, g);
}

static uint32_t random_state;

static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Magnitudes from 2^-20 to 2^11, both signs. */
static void random_floats(float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t bits = random_bits();
        x[i] = edgebci_from_bits((bits & 0x807FFFFFu) | ((107u + (bits >> 23) % 32u) << 23));
    }
}

static uint32_t hashed(uint32_t hash, const void *from, uint32_t n_bytes)
{
    for (uint32_t i = 0; i < n_bytes; i++) {
        hash = (hash ^ ((const uint8_t *)from)[i]) * 16777619u; /* FNV-1a */
    }
    return hash;
}

#define ROWS 6u
#define COLUMNS 70u
#define HEADS 2u
#define HEADDIM 6u
#define STATE 12u
#define TAPS 4u
#define INNER (HEADS * HEADDIM)
#define CHANNELS (INNER + 2u * STATE)

static float given[512], result[512], constants[6][CHANNELS];
static int8_t weights[ROWS * COLUMNS], activations[COLUMNS];
static int16_t conv[CHANNELS * (TAPS - 1u)], ssm[INNER * STATE];

static void random_block(edgebci_mamba2_t *m)
{
    for (uint32_t i = 0; i < ROWS * COLUMNS; i++) {
        weights[i] = (int8_t)((int32_t)(random_bits() % 255u) - 127);
    }
    for (uint32_t i = 0; i < COLUMNS; i++) {
        activations[i] = (int8_t)((int32_t)(random_bits() % 256u) - 128);
    }
    for (uint32_t i = 0; i < 6u; i++) {
        random_floats(constants[i], CHANNELS);
    }
    const edgebci_mamba2_t block = {weights,      constants[0], constants[1], constants[2], constants[3],
                                    constants[4], constants[5], constants[1], constants[0]};
    *m = block;
}

/* A hash of what every kernel gives on `rounds` inputs of its own. */
uint32_t probe_hash(uint32_t rounds);
uint32_t probe_hash(uint32_t rounds)
{
    const probe_shape_t shape = {HEADS, HEADDIM, STATE, TAPS};
    uint32_t hash = 2166136261u;
    edgebci_mamba2_t m;
    random_state = 1u;
    for (uint32_t round = 0; round < rounds; round++) {
        random_block(&m);
        random_floats(given, INNER + CHANNELS + HEADS);
        probe_dense(ROWS, COLUMNS, weights, constants[0], constants[1], activations, result);
        hash = hashed(hash, result, 4u * ROWS);
        probe_silu(given, 64u, result);
        hash = hashed(hash, result, 4u * 64u);
        probe_mamba2_step(&m, &shape, given, conv, ssm, result);
        hash = hashed(hashed(hash, conv, sizeof conv), ssm, sizeof ssm);
    }
    for (uint32_t i = 0; i < sizeof ssm / sizeof *ssm; i++) {
        ssm[i] = 0;
    }
    for (uint32_t i = 0; i < sizeof conv / sizeof *conv; i++) {
        conv[i] = 0;
    }
    return hash;
}
