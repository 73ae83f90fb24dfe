"""Orchestration: what needs two stages at once. With the command line, the only importer of the stages."""
