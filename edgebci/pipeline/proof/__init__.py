"""Every figure that the README quotes: measured, written to examples/proof.json, and put into the README from there."""
