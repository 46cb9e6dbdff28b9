"""What reading may cost at most, whatever an input claims to be."""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1024 * 1024
GIB = 1024 * MIB


class Unreadable(Exception):  # noqa: N818 - it is a message for a person, named for what it is
    """Something can't be read, or only in part; the text is for the user."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one input (a file, an archive, standard input) may turn into.

    Attributes:
        files: files of a folder; members of an archive, with those of the archives in it.
        member_bytes: unpacked, each.
        total_bytes: unpacked, all together.
        ratio: unpacked bytes for each byte of the input. Logs reach 100 (gzip) to 200 (xz); deflate can reach 1032,
            the others millions.
        free_bytes: so much may come out of any input, whatever its ratio.
        archives: archives within each other.
        layers: layers of compression and archives within each other.
        spool_bytes: kept in temporary files.
        window_bytes: memory for decompressing; ``zstd --ultra -22`` and ``xz -9`` need 128 and 64 MiB.
    """

    files: int = 10_000
    member_bytes: int = 16 * GIB
    total_bytes: int = 64 * GIB
    ratio: int = 300
    free_bytes: int = 256 * MIB
    archives: int = 2
    layers: int = 4
    spool_bytes: int = 16 * GIB
    window_bytes: int = 128 * MIB


LIMITS = Limits()


@dataclass(slots=True)
class Budget:
    """What may still come out of one input."""

    limits: Limits
    input_bytes: int
    used: int = 0
    members: int = 0

    @property
    def allowed(self) -> int:
        limits = self.limits
        return min(limits.total_bytes, max(limits.free_bytes, limits.ratio * self.input_bytes))

    @property
    def left(self) -> int:
        return self.allowed - self.used


@dataclass(slots=True)
class Meter:
    """Counts the unpacked bytes of one member. A member is read more than once: only what is new is charged."""

    budget: Budget
    most: int = field(default=0)

    def allow(self, position: int, size: int) -> int:
        """How many of the ``size`` bytes from ``position`` on may still come."""
        end = min(position + size, self.budget.limits.member_bytes, self.most + self.budget.left)
        if end > self.most:
            self.budget.used += end - self.most
            self.most = end
        return max(0, min(end - position, size))

    def refusal(self) -> Unreadable:
        """What to say when not all may come."""
        if self.most >= self.budget.limits.member_bytes:
            bound, hint = self.budget.limits.member_bytes, "unpack it yourself and name the part that matters"
        else:
            hint = "an archive bomb or a very repetitive log: unpack it yourself and name the file"
            bound = self.budget.allowed
        return Unreadable(f"expands to more than {bound // MIB} MiB: the rest was left out", hint)
