"""A zone of a node while memory is handed out and given back."""

from __future__ import annotations

from dataclasses import dataclass, field

from numasim.free_frames import FreeFrames
from numasim.watermarks import Watermark


@dataclass
class ZoneState:
    """One zone of one node, in frames; `free` leaves out per-CPU lists, as MemFree does."""

    node: int
    name: str
    span: list[tuple[int, int]]  # all its frames
    runs: list[tuple[int, int]]  # those that can ever be handed out
    managed: int
    free: int
    frames: FreeFrames
    marks: Watermark = field(default_factory=lambda: Watermark(0, 0, 0, 0))
    reserve: int = 0  # frames kept for requests that can use no zone above
    kept: int = 0  # free frames that only high-order atomic requests get
    in_pcp: int = 0
    pcp_of: str = ""
    refills: int = 0

    @property
    def available(self) -> int:
        """Frames that could be handed out if no watermark forbade it."""
        return self.free + self.in_pcp
