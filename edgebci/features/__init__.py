"""The front end: one definition of the features, and two references that compute it.

specification   the features as data, and what happens to bad input
front_end       specification + good channels + starting statistics, as stored in a bundle
sections        second-order sections in a form that survives single precision
coefficients    every number that the device holds
conditioning    counts to referenced integers: offset, gaps, saturation, reference (exact, shared by all)
stream          float64 reference with SciPy
device          float32 definition, which the C equals bit for bit
normalization   running normalisation, in either precision
fitting         good channels and statistics from training samples
response        how long a feature remembers
cases           named inputs that every form must treat alike
"""
