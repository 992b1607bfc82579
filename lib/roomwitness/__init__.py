"""Room Witness: record a protected meeting, erase it when calm, hold it as evidence when not."""

__version__ = "0.1.0"
