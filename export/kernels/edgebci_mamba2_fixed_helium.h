/* edgebci.Mamba2StepFixed on a core with Helium: the calls, the states and the bits of the portable
 * edgebci_mamba2_fixed.h, with the constants of the convolution laid out otherwise. */
#ifndef EDGEBCI_MAMBA2_FIXED_HELIUM_H
#define EDGEBCI_MAMBA2_FIXED_HELIUM_H

#include "edgebci_mamba2_fixed_channels_helium.h"
#include "edgebci_mamba2_fixed_gate_helium.h"
#include "edgebci_mamba2_fixed_kept_helium.h"
#include "edgebci_mamba2_fixed_state_helium.h"
#include "edgebci_mamba2_fixed_step.h"

#endif
