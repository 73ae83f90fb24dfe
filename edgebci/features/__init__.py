"""The front end: one specification of the features, a float64 reference and the device's float32 definition."""
