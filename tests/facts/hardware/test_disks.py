from __future__ import annotations

from .support import GIB, KIB, MIB, TIB, facts, lines, records


def test_df() -> None:
    name = "disk/df-h.txt"
    assert facts(name) == {"host.shm_size": 24 * GIB, "host.shm_free": 24 * GIB}
    assert lines(name) == {"host.shm_size": 3, "host.shm_free": 3}
    assert records(name, "filesystem")[2] == {
        "mount": "/",
        "device": "/dev/vda",
        "size": 252 * GIB,
        "used": 23 * GIB,
        "free": 79 * GIB,
    }


def test_df_german_with_types_and_a_wrapped_name() -> None:
    name = "disk/df-german.txt"
    assert facts(name) == {"host.shm_size": 64 * MIB, "host.shm_free": 64 * MIB}
    last = records(name, "filesystem")[-1]
    assert (last["mount"], last["free"], last["device"]) == (
        "/srv/my models",
        512 * GIB,
        "/dev/mapper/ubuntu--vg-a--very--long--name",
    )
    assert last["size"] == round(3.6 * TIB)


def test_df_in_blocks() -> None:
    assert facts("disk/df-k.txt") == {"host.shm_size": 65536 * KIB, "host.shm_free": 0}


def test_lsblk_gives_whole_disks() -> None:
    assert records("disk/lsblk.txt", "disk") == [
        {"name": "sda", "bytes": round(7.3 * TIB), "mounts": ["/srv"]},
        {"name": "nvme0n1", "bytes": round(953.9 * GIB), "medium": "NVMe drive", "mounts": ["/boot/efi", "/"]},
    ]
    hard, nvme = records("disk/lsblk-rota.txt", "disk")
    assert hard == {
        "name": "sda",
        "bytes": round(7.3 * TIB),
        "rotational": True,
        "model": "WDC WD80EFZX-68UW8N0",
        "medium": "hard disk",
    }
    assert nvme["rotational"] is False and nvme["medium"] == "NVMe drive"


def test_the_kind_of_a_disk_and_its_mount_points() -> None:
    assert [(d["name"], d.get("medium"), d.get("mounts")) for d in records("disk/lsblk-kinds.txt", "disk")] == [
        ("sda", "SATA SSD", ["/", "/home", "/srv/models"]),
        ("sdb", "hard disk", ["/backup"]),
        ("sdc", "SSD", None),
        ("vda", None, ["/data"]),
        ("nvme0n1", "NVMe drive", ["/scratch"]),
    ]
