"""What the papers claim, tried on synthetic subjects and on rats: one grid of sessions, seeds and ways to train."""
