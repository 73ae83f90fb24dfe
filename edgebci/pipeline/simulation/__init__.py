"""A recording played through a simulated implant and its shipped decoder."""
