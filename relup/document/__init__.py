"""Text and values: every file that relup reads or writes passes here, and errors carry their place.

The names are loaded when they are used: a command that only talks to a node reads no document.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_ROOMS = {
    "Document": "kinds",
    "read_appup": "appup",
    "read_document": "kinds",
    "read_extensions": "release",
    "read_release": "release",
    "read_sources": "release",
    "source_path": "source_tree",
    "write_appup": "appup",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"relup.document.{_ROOMS.get(name, 'relup')}"), name)
