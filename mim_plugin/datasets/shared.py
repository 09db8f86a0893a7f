"""State of a data set that its worker processes share."""

from __future__ import annotations

import torch

__all__ = ['EpochClock', 'ReadRecord']


class EpochClock:
    """Seed and epoch, seen by every worker of this rank, also by persistent ones."""

    def __init__(self) -> None:
        self._state = torch.tensor([0, -1]).share_memory_()

    def set(self, seed: int, epoch: int) -> None:
        """Set both; workers see it with their next sample."""
        self._state[0], self._state[1] = seed & 0x7FFFFFFFFFFFFFFF, epoch  # torch's seed may have 64 bits

    def get(self) -> tuple[int, int] | None:
        """``(seed, epoch)``, or None as long as nobody has set them."""
        seed, epoch = self._state.tolist()
        return None if epoch < 0 else (seed, epoch)

    def __deepcopy__(self, memo: dict) -> EpochClock:
        copied = EpochClock()
        copied._state.copy_(self._state)
        return copied


class ReadRecord:
    """Which images of a data set are known to be undecodable, shared by the workers of this rank.

    One byte an image. Workers write the same value or none, so no lock is needed.

    Args:
        length: Number of images.
    """

    def __init__(self, length: int) -> None:
        self._broken = torch.zeros(length, dtype=torch.bool).share_memory_()

    def is_broken(self, index: int) -> bool:
        """Whether the image was found to be undecodable before."""
        return bool(self._broken[index])

    def add(self, index: int) -> None:
        """Note an undecodable image."""
        self._broken[index] = True

    def indices(self) -> list[int]:
        """All undecodable images met so far, by any worker."""
        return self._broken.nonzero().flatten().tolist()
