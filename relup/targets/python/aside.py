"""relup's own libraries make way for those of a release.

relup reads releases with YAML and JSON Schema, and its command line is built with click; a release of a real program
has its own versions of all of these. Both cannot stand in `sys.modules` under one name, and the release must not be
refused for what relup happens to have loaded. Once a release is read, a node needs these libraries no more, but for
what relup's modules hold of them already. So they leave `sys.modules` while the node lives.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

_KEPT = frozenset({"relup", "__main__", "__mp_main__"})


def libraries() -> frozenset[str]:
    """Return the loaded modules that are neither relup's nor of the standard library."""
    tops = {n: n.partition(".")[0] for n in list(sys.modules)}
    return frozenset(n for n, top in tops.items() if top not in sys.stdlib_module_names and top not in _KEPT)


@contextmanager
def aside(names: Collection[str]) -> Iterator[None]:
    """Take the modules of these *names* out of `sys.modules` for the length of the block."""
    taken = {name: sys.modules.pop(name) for name in list(sys.modules) if name in names}
    try:
        yield
    finally:
        for name, module in taken.items():
            sys.modules.setdefault(name, module)
