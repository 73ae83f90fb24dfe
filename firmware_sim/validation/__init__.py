"""Published devices and boards as test cases of the models."""
