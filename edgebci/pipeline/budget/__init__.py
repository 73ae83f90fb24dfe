"""What a design of an implant costs, and which design fits."""
