"""The errors that edgebci raises on purpose, and the exit code each one means.

EdgebciError                 something that we can explain in one sentence
├── InputError               exit 2: what the user gave is wrong (file, TOML, recording, profile)
│   └── CapacityError        exit 2: the decoder does not fit the chip; says by how much
├── MissingToolError         exit 2: a tool or optional package is absent; says the line that installs it
└── VerificationError        exit 1: an artefact does not compute what its reference computes

A message is one sentence with three parts: what was found, what is allowed, what to do.
"""

from __future__ import annotations


class EdgebciError(Exception):
    """Base of every error that is shown to the user as one sentence."""

    exit_code = 1


class InputError(EdgebciError):
    """What the user gave is wrong."""

    exit_code = 2


class CapacityError(InputError):
    """The decoder needs more flash, memory or time than the chip has."""


class MissingToolError(EdgebciError):
    """A compiler, emulator or optional package is absent."""

    exit_code = 2


class VerificationError(EdgebciError):
    """Two forms of one decoder that must agree do not."""
