"""The gate: is this decoder as good, as small and as quick as the one before?"""
