"""How `import` finds the modules of a release: by name, in a table, never by searching a path.

Searching finds the wrong file as soon as two releases are on disk: an unchanged package keeps its `__path__` in the
old release, so a changed submodule would be executed from the old file. The finder stands first in
`sys.meta_path` and knows every module of the running release, and, for the thread that stages an upgrade, those of
the new one. C extensions of the release stand in the table too, and are loaded as Python loads them: once. What it
does not know is left to the finders after it. Distributions are answered from the same roots, or
`importlib.metadata.version` in a new body would read the old release's metadata.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, NamespaceLoader, PathFinder, SourceFileLoader
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder
from importlib.util import decode_source, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, Protocol, TypeAlias

from relup.runtime.code.source import Source, Version, file_name, forget_lines, read, remember_lines, version


class _Removed:
    """The release that runs has no module of this name, though an older one had."""

    __slots__ = ()


REMOVED: Final = _Removed()
Paths: TypeAlias = "dict[str, Path | _Removed]"


class Stage(Protocol):
    """What the thread that stages sees of the new release."""

    def mine(self) -> bool:
        """Say whether the calling thread is the one that stages."""

    def path(self, name: str) -> Path | _Removed | None:
        """Return where the new release has *name*; None when the upgrade says nothing about it."""

    def names(self) -> Iterable[str]:
        """Return the modules of the new release that it knows."""

    def loader(self, name: str) -> ReleaseLoader:
        """Return what executes *name* for the new release."""


class ReleaseLoader(SourceFileLoader):
    """Executes the recorded text of one module; `set_data` and bytecode files are never reached."""

    def __init__(
        self,
        source: Source,
        file: str,
        record: dict[str, Version],
        place: Callable[[ModuleType], Callable[[], None]] | None = None,
        code: CodeType | None = None,
    ) -> None:
        super().__init__(source.name, source.path)
        self.source = source
        self.file = file
        self._record = record
        self._place = place
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        """Compile the recorded text, unless that is done; a SyntaxError names the file and the line."""
        code, self._code = self._code, None
        return code or compiled(self.source, self.file)

    def get_source(self, fullname: str) -> str:
        """Return the recorded text."""
        return decode_source(self.source.text)

    def get_data(self, path: str | bytes) -> bytes:
        """Return the recorded text for the module's own file, else the bytes of *path*."""
        return self.source.text if str(path) == self.source.path else Path(str(path)).read_bytes()

    def exec_module(self, module: ModuleType) -> None:
        """Run the body; on failure nothing remembers the module.

        A module holds its loader, so the loader lets go of whoever staged it.
        """
        name, record, place = self.source.name, self._record, self._place
        self._record, self._place = {}, None
        remember_lines(self.source, self.file)
        record[name] = version(self.source, module, self.file)
        unplace = place(module) if place else None
        try:
            exec(self.get_code(name), module.__dict__)
        except BaseException:
            record.pop(name, None)
            if place is None:  # while staging, the lines are still needed to say what failed
                forget_lines([self.file], record.values())
            if unplace is not None:
                unplace()
            raise


def compiled(source: Source, file: str) -> CodeType:
    """Return the code of a module; no file of bytecode is read or written."""
    code: CodeType = compile(source.text, file, "exec", dont_inherit=True)
    return code


class ReleaseFinder:
    """The entry of `sys.meta_path` that knows the files of one node's release."""

    def __init__(self, versions: dict[str, Version], old: Mapping[str, Version]) -> None:
        self.paths: Paths = {}
        self.stage: Stage | None = None
        self._versions = versions
        self._old = old

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how to load a module of the release; ModuleNotFoundError for one that was removed."""
        stage = self._staging()
        staged = stage.path(fullname) if stage else None
        found = staged or self.paths.get(fullname)
        match found:
            case None:
                return self._namespace(fullname, path)
            case Path() if found.suffix != ".py":
                return extension_spec(fullname, found)
            case Path():
                loader = stage.loader(fullname) if stage else self._loader(fullname, found)
                return spec_for(loader)
            case _:
                raise ModuleNotFoundError(f"No module named {fullname!r} (removed from the release)", name=fullname)

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        """Return the distributions installed beside the release's modules, the new release's first while staging."""
        context = context or DistributionFinder.Context()
        if "path" in vars(context):
            return ()
        return MetadataPathFinder.find_distributions(DistributionFinder.Context(name=context.name, path=self.roots()))

    def roots(self) -> list[str]:
        """Return the folders from which the release's modules come, as the calling thread sees them."""
        stage = self._staging()
        staged = [(n, stage.path(n)) for n in stage.names()] if stage else []
        found = (_root(n, str(p)) for n, p in (*staged, *self.paths.items()) if isinstance(p, Path))
        return list(dict.fromkeys(root or "/" for root in found))

    def _staging(self) -> Stage | None:
        return self.stage if self.stage is not None and self.stage.mine() else None

    def _loader(self, name: str, path: Path) -> ReleaseLoader:
        source = read(name, path)
        others = [v for v in (self._old.get(name),) if v is not None]
        return ReleaseLoader(source, file_name(source, others), self._versions)

    def _namespace(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Return a package without a file, when modules of the release live in it and no one else has a real one."""
        portions = list(dict.fromkeys(self._portions(name)))
        if not portions:
            return None
        elsewhere = PathFinder.find_spec(name, path)
        if elsewhere is not None and elsewhere.loader is not None and elsewhere.origin is not None:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        folders = list(dict.fromkeys((*portions, *((elsewhere and elsewhere.submodule_search_locations) or ()))))
        # `importlib.resources` reads only packages whose path is of the kind that Python itself gives them
        spec.submodule_search_locations = getattr(NamespaceLoader(name, folders, self._namespace), "_path", folders)
        return spec

    def _portions(self, package: str) -> Iterator[str]:
        prefix = f"{package}."
        stage = self._staging()
        names = (*stage.names(), *self.paths) if stage else tuple(self.paths)
        for name in names:
            if name.startswith(prefix):
                path = (stage.path(name) if stage else None) or self.paths.get(name)
                if isinstance(path, Path):
                    yield str(root(name, path).joinpath(*package.split(".")))


def spec_for(loader: ReleaseLoader) -> ModuleSpec | None:
    """Return the import specification of a module of a release."""
    source = loader.source
    folder = [str(Path(source.path).parent)] if source.package else None
    return spec_from_file_location(source.name, source.path, loader=loader, submodule_search_locations=folder)


def extension_spec(name: str, path: Path) -> ModuleSpec | None:
    """Return the import specification of a C extension: the thread that stages asks for new ones only."""
    folder = [str(path.parent)] if _is_package(path) else None
    loader = ExtensionFileLoader(name, str(path))
    return spec_from_file_location(name, str(path), loader=loader, submodule_search_locations=folder)


def same_extension(module: object, path: Path) -> bool:
    """Say whether a loaded module is the C extension in the file at *path*, or in one like it."""
    loaded = getattr(module, "__file__", None)
    if path.suffix == ".py" or not isinstance(loaded, str):
        return False
    try:
        return loaded == str(path.absolute()) or Path(loaded).read_bytes() == path.read_bytes()
    except OSError:
        return False


def _is_package(path: Path) -> bool:
    return path.name.partition(".")[0] == "__init__"


def root(name: str, path: Path) -> Path:
    """Return the folder that would stand in `sys.path` for *name* to be found at *path*."""
    return Path(_root(name, str(path.absolute())) or "/")


def _root(name: str, path: str) -> str:
    """Do the same with texts: all modules of a release are asked for theirs."""
    steps, file = name.count(".") + 1, path.rpartition("/")[2]
    return path.rsplit("/", steps + (file.partition(".")[0] == "__init__"))[0]


def finders() -> Iterator[ReleaseFinder]:
    """Return the finders of every node in this process."""
    return (f for f in sys.meta_path if isinstance(f, ReleaseFinder))


def install(finder: ReleaseFinder) -> None:
    """Put *finder* before all others."""
    sys.meta_path.insert(0, finder)


def uninstall(finder: ReleaseFinder) -> None:
    """Take *finder* out again; harmless when it is not there."""
    entries: list[Any] = sys.meta_path
    sys.meta_path[:] = [f for f in entries if f is not finder]
