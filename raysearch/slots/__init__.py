"""Slots: warm Ray Train worker groups that a study owns and its trials lease."""

from raysearch.slots._client import Lease, SlotClient, SlotLostError, SlotsBrokenError, TrialFailedError
from raysearch.slots._spec import GroupSpec
from raysearch.slots._start import Slots, start_slots

__all__ = [
    "GroupSpec",
    "Lease",
    "SlotClient",
    "SlotLostError",
    "Slots",
    "SlotsBrokenError",
    "TrialFailedError",
    "start_slots",
]
