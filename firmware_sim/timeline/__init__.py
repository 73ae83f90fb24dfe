"""When each sample becomes an output: queue, step, radio."""
