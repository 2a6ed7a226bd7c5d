"""Numbers that say how good samples are. `modes`: coverage of a Gaussian mixture."""
from minigen.metrics.modes import Modes, count_modes

__all__ = ["Modes", "count_modes"]
