"""Recordings: LFP, spikes, behaviour and intervals in temporaldata's HDF5 layout, read lazily, written by chunk."""

from edgebci.recordings.model import Behavior, BehaviorInfo, IntervalInfo, RecordingInfo, Spikes
from edgebci.recordings.recording import Recording, open_recording
from edgebci.recordings.writer import RecordingWriter

__all__ = [
    "Behavior",
    "BehaviorInfo",
    "IntervalInfo",
    "Recording",
    "RecordingInfo",
    "RecordingWriter",
    "Spikes",
    "open_recording",
]
