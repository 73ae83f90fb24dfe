"""Recordings: LFP, spikes, behaviour and intervals in temporaldata's HDF5 layout, read lazily, written by chunk.

`edgebci.recordings.conversion` has `convert` and `describe`; it stands apart because it loads pynwb.
"""

from edgebci.recordings.model import Behavior, BehaviorInfo, IntervalInfo, NwbOptions, RecordingInfo, Spikes
from edgebci.recordings.recording import Recording, open_recording
from edgebci.recordings.splits import TimeSplit
from edgebci.recordings.writer import RecordingWriter

__all__ = [
    "Behavior",
    "BehaviorInfo",
    "IntervalInfo",
    "NwbOptions",
    "Recording",
    "RecordingInfo",
    "RecordingWriter",
    "Spikes",
    "TimeSplit",
    "open_recording",
]
