"""Evidence on disk, named by its content: data_dir/evidence/ab/abcd….jpg."""

import os
import shutil
import tempfile
from pathlib import Path


class EvidenceStore:
    """Files that appear whole or not at all, and survive a power cut once `write` has returned."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        """Make the folder, and throw away what a crash left half written."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def path(self, sha256: str) -> Path:
        """Where the file with this content lies or would lie."""
        return self._folder / sha256[:2] / f"{sha256}.jpg"

    def write(self, sha256: str, content: bytes) -> None:
        """Keep `content` under its name; harmless when it is there already.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        path = self.path(sha256)
        path.parent.mkdir(exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
        # The rename is in the folder; without this it may be lost though the content is not.
        for folder in (path.parent, self._folder):
            _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
