from __future__ import annotations

from typing import Any

from doctor.memory.disks import model_disk
from doctor.vocabulary.facts import Origin, Record

from .support import values

NVME = {"name": "nvme0n1", "medium": "NVMe drive", "mounts": ["/boot/efi", "/"]}
HARD = {"name": "sda", "medium": "hard disk", "mounts": ["/mnt/models"]}


def disk_of(path: str, *disks: dict[str, Any]) -> tuple[str, float] | None:
    return model_disk(
        values({"setting.model_path": path}, disk=[Record("disk", d, Origin("lsblk.txt")) for d in disks])
    )


def test_the_longest_mount_point_above_the_model() -> None:
    assert disk_of("/mnt/models/r1/r1-00001-of-00003.gguf", NVME, HARD) == ("sda (hard disk)", 0.16)
    assert disk_of("/mnt/models-old/r1.gguf", NVME, HARD) == ("nvme0n1 (NVMe drive)", 7.0)


def test_a_relative_path_names_a_disk_only_where_there_is_one() -> None:
    assert disk_of("models/r1.gguf", NVME, HARD) is None
    assert disk_of("models/r1.gguf", HARD) == ("sda (hard disk)", 0.16)


def test_a_disk_of_no_known_kind_is_none() -> None:
    assert disk_of("/srv/r1.gguf", {"name": "vda", "mounts": ["/"]}) is None
    assert disk_of("/srv/r1.gguf") is None
