"""Public recordings that REALM and cross-modal distillation were measured on: fetched, and converted to our layout.

Makin: O'Doherty, Cardoso, Makin and Sabes, "Nonhuman Primate Reaching with Multichannel Sensorimotor Cortex
Electrophysiology", Zenodo, CC BY 4.0. Flint: Flint, Lindberg, Jordan, Miller and Slutzky (J. Neural Eng. 9, 046006,
2012), in the DREAM database of CRCNS, which asks for its terms to be accepted.
"""
