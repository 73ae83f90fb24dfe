"""Any set of decoders on the same splits, compared."""
