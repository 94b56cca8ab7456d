"""Choose the location of the shared file, and refuse unsuitable ones."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from publitrac_async.errors import ConfigurationError

#: File systems that several hosts may mount. Their locks are slow or missing, and the clocks of hosts differ.
_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "beegfs_nodev", "ceph", "cephfs", "cifs", "coda", "gfs2", "glusterfs", "gpfs"}
    | {
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
    }
    | {"vboxsf", "virtiofs", "vmhgfs", "wekafs"}
    | {f"fuse.{name}" for name in ("blobfuse", "blobfuse2", "ceph", "ceph-fuse", "davfs", "gcsfuse")}
    | {f"fuse.{name}" for name in ("glusterfs", "goofys", "juicefs", "mfs", "mount-s3", "rclone", "s3fs")}
    | {f"fuse.{name}" for name in ("sshfs", "vmhgfs-fuse")}
)
_MOUNTS: Final = Path("/proc/self/mountinfo")


def locate(path: Path | None, account: str) -> Path:
    """Return the path of the file for an account.

    Args:
        path: a file, a folder, or ``None`` for a private folder in the folder for temporary files.
        account: name of the file in a folder.

    Raises:
        ConfigurationError: the folder does not exist, or belongs to another user.
    """
    if path is None:
        path = _private_folder()
    if path.is_dir():
        path = path / f"{account}.shared"
    if not path.parent.is_dir():
        raise ConfigurationError(
            "the folder of the shared file does not exist: create it, or name another path"
        )
    return path


def _private_folder() -> Path:
    user = os.getuid()
    folder = Path(tempfile.gettempdir(), f"publitrac_async-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} for the shared file cannot be created: {error.strerror}"
        ) from None
    # Every user may write to the parent folder.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"{folder} must be a folder of this user with mode 0700: fix it, or name another path"
        )
    return folder


def network_file_system(path: Path, device: int, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system of `path` if hosts may share it.

    Only Linux reports the type; on other systems all are accepted.

    Args:
        path: path of an existing file.
        device: ``st_dev`` of the file.
        mounts: list of mounts, instead of the kernel's.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    number = f"{os.major(device)}:{os.minor(device)}"
    place = str(path.resolve())
    best, kind = -1, ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        _, _, mounted_device, _, point, *_ = fields.split(" ")
        # The kernel writes a blank as \040. On some file systems `st_dev` of files matches no mount.
        point = point.encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        inside = place == point or place.startswith(f"{point.rstrip('/')}/")
        rank = (1_000_000 if mounted_device == number else 0) + len(point) if inside else -1
        if rank >= best >= -1 and inside:
            best, kind = rank, rest.split(" ", 1)[0]
    return kind if kind in _NETWORK else None
