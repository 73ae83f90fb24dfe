/* edgebci.Mamba2StepFixed: one step of one stream in int16, with a state that is rewritten at every fourth step only.
 *
 * What is computed, and why that may be done, is in edgebci/operators/mamba2_fixed.py.
 * EDGEBCI_DEFINE_MAMBA2_FIXED(name, heads, headdim, state_size, taps) defines the kernel for one shape,
 * `void name(m, p, conv, ssm, x, B, kept, phase, g)`, and its parts as functions of their own.
 * edgebci_mamba2_fixed_layer.h says where its arrays lie.
 */
#ifndef EDGEBCI_MAMBA2_FIXED_H
#define EDGEBCI_MAMBA2_FIXED_H

#include "edgebci_mamba2_fixed_channels.h"
#include "edgebci_mamba2_fixed_gate.h"
#include "edgebci_mamba2_fixed_kept.h"
#include "edgebci_mamba2_fixed_state.h"
#include "edgebci_mamba2_fixed_step.h"

#endif
