/* edgebci.Mamba2Step: what a layer has in flash, whatever its states are kept in and whichever kernels compute it. */
#ifndef EDGEBCI_MAMBA2_LAYER_H
#define EDGEBCI_MAMBA2_LAYER_H

#include <stdint.h>

typedef struct {
    const int8_t *conv_weight;       /* [conv_dim][taps], oldest tap first */
    const float *conv_inverse_scale; /* [conv_dim] to the int16 window */
    const float *conv_out_scale;     /* [conv_dim] from the int32 sum */
    const float *conv_bias;          /* [conv_dim] */
    const float *dt_bias;            /* [heads] */
    const float *A;                  /* [heads], negative */
    const float *D;                  /* [heads] */
    const float *ssm_scale;          /* [heads] value of one count of h */
    const float *ssm_inverse_scale;  /* [heads] */
} edgebci_mamba2_t;

#endif
