"""Text and values: every file that relup reads or writes passes here, and errors carry their place."""

from relup.document.appup import read_appup, write_appup
from relup.document.kinds import Document, read_document
from relup.document.release import read_extensions, read_release, read_sources
from relup.document.relup import (
    read_relup,
    release_from_data,
    release_to_data,
    relup_from_data,
    relup_to_data,
    write_relup,
)
from relup.document.source_tree import source_path

__all__ = [
    "Document",
    "read_appup",
    "read_document",
    "read_extensions",
    "read_release",
    "read_relup",
    "read_sources",
    "release_from_data",
    "release_to_data",
    "relup_from_data",
    "relup_to_data",
    "source_path",
    "write_appup",
    "write_relup",
]
