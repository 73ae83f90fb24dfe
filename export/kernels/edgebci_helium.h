/* Whether a core has Helium, with its intrinsics. The Helium kernels compile everywhere, so that the host twin of a
 * program runs the very same sources. */
#ifndef EDGEBCI_HELIUM_H
#define EDGEBCI_HELIUM_H

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#define EDGEBCI_HAS_HELIUM 1
#include <arm_mve.h>
#else
#define EDGEBCI_HAS_HELIUM 0
#endif

#endif
