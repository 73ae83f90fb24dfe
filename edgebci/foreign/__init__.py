"""Decoders that someone made elsewhere: their small graph, its arithmetic and its bundle."""
