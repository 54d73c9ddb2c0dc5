"""The newest frames of a topic, kept for readers that come back."""

import itertools
from collections import deque

from tickwire.stream.frames import Frame

__all__ = ["History"]


class History:
    """Frames that follow each other without a gap, bounded in number and in bytes of payload."""

    __slots__ = ("_bytes", "_frames", "_max_bytes", "_max_frames")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Frame) -> None:
        """Keep the next frame, and drop the oldest ones beyond the bounds."""
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        while len(self._frames) > self._max_frames or self._bytes > self._max_bytes:
            self._bytes -= len(self._frames.popleft().payload)

    def newest(self, count: int) -> list[Frame] | None:
        """The last ``count`` frames, oldest first; ``None`` when not all of them are kept."""
        if not 0 <= count <= len(self._frames):
            return None
        return list(itertools.islice(self._frames, len(self._frames) - count, None))
