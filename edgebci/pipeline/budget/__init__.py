"""`edgebci budget`: what a decoder would take in an implant, from profiles and counts, without emulating anything."""
