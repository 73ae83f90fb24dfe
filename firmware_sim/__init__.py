"""Running the generated firmware: compile it, emulate the core, and place it in an implant."""
