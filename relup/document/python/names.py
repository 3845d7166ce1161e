"""Names of distributions, which people spell in several ways."""

from __future__ import annotations

import re
from collections.abc import Iterator


def normalized(name: str) -> str:
    """Return the name by which distributions are the same (PEP 503): `Ruamel.Yaml` is `ruamel-yaml`."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def spellings(name: str) -> Iterator[str]:
    """Yield the names by which files of a distribution may be called, each once."""
    plain = normalized(name)
    yield from dict.fromkeys((plain, plain.replace("-", "_"), name))
