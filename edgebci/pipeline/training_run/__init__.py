"""`edgebci train`: from recordings of several sessions, through one of the three systems, to scored decoders."""
