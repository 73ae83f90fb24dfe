"""Recordings that others published: how to get them, read them, and split them as their papers do."""
