"""What electrodes, amplifiers and converters do to the signal."""
