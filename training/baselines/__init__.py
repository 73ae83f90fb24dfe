"""What a student is measured against: Wiener and Kalman filter, logistic regression, and networks of its own size.

Every baseline is fitted to the training part, chooses what it must choose on validation, and decodes causally.
"""
