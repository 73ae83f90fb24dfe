"""The three systems as a user meets them: what they learn from some sessions, and how they then decode another one."""
