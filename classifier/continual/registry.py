"""The weights registry: a folder with one sub-folder a version, and who serves.

``registry.json`` names the champion, which serves, and the challenger, which wants to; its
history says who gave which role to whom, when and why. The weights that ship with the package are
the champion while the registry names none. Every change is made under a file lock and by renaming
a finished file, so that two commands lose nothing of each other's and a reader never sees half of
it. Knows no torch, no clock, and not whether a version is any good:
``classifier.continual.promotion`` does.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from classifier.errors import ClassifierError

REGISTRY_FILE = "registry.json"
CARD_FILE = "card.json"
LABELS_FILE = "labels.json"

_LOCK_FILE = "registry.lock"
_PAGE_SUFFIXES = (".md", ".png")
_VERSION = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")

Stamp = tuple[int, int, int]
"""What tells one state of the registry's file from the next: time of change, inode, size."""


class RegistryError(ClassifierError, RuntimeError):
    """The root of the registry's errors: what happened, to which version, what to do next."""


class UnknownVersionError(RegistryError):
    """The registry holds no version of that name."""


class NoChallengerError(RegistryError):
    """No version has the role of challenger."""


class NothingToRollBackError(RegistryError):
    """No promotion is left that could be undone."""


class ChampionMovedError(RegistryError):
    """Another command changed the champion meanwhile; nothing was written."""


class DamagedRegistryError(RegistryError):
    """``registry.json`` or a card is not what this program writes."""


class IncompleteWeightsError(RegistryError):
    """A folder lacks something that weights are made of."""


class Role(StrEnum):
    """What a line of the history says of its version."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    ROLLED_BACK = "rolled back"


class Note(msgspec.Struct, frozen=True):
    """Who changes something, when and why; it ends up in the history."""

    at: datetime
    by: str
    reason: str


class Entry(msgspec.Struct, frozen=True):
    """One line of the history."""

    version: str
    role: Role
    at: datetime
    by: str
    reason: str


class State(msgspec.Struct, frozen=True):
    """What ``registry.json`` says; a ``champion`` of None means the shipped weights."""

    champion: str | None = None
    challenger: str | None = None
    history: tuple[Entry, ...] = ()


class _Named(msgspec.Struct):
    version: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry in ``root``, which need not exist yet; ``shipped`` holds the shipped weights."""

    root: Path
    shipped: Path

    def stamp(self) -> Stamp | None:
        """Changes whenever the registry does; None where nothing was written yet. One stat."""
        try:
            found = (self.root / REGISTRY_FILE).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def state(self) -> State:
        """The registry as it stands. Raises DamagedRegistryError."""
        path = self.root / REGISTRY_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DamagedRegistryError(
                f"the registry file {path} cannot be read: {error}; restore it from a copy, or "
                "move it away to begin with the shipped weights"
            ) from error

    def versions(self) -> list[str]:
        """Every version there is, the shipped one first, then by name."""
        shipped = self.shipped_version()
        folders = sorted(self.root.glob("*/" + CARD_FILE)) if self.root.is_dir() else []
        names = [path.parent.name for path in folders if _VERSION.fullmatch(path.parent.name)]
        return [shipped, *(name for name in names if name != shipped)]

    def shipped_version(self) -> str:
        """The version of the shipped weights, by their card."""
        return version_of(self.shipped)

    def champion(self) -> str:
        """The version that serves."""
        return self.state().champion or self.shipped_version()

    def champion_folder(self) -> Path:
        """The weights that serve. Raises RegistryError."""
        champion = self.state().champion
        return self.shipped if champion is None else self.folder(champion)

    def folder(self, version: str) -> Path:
        """The weights of ``version``. Raises UnknownVersionError."""
        if _VERSION.fullmatch(version) and (self.root / version / CARD_FILE).is_file():
            return self.root / version
        if version == self.shipped_version():
            return self.shipped
        known = ", ".join(self.versions())
        raise UnknownVersionError(
            f"the registry {self.root} has no version {version!r}; it has {known}"
        )

    def add(self, folder: Path, version: str | None = None) -> str:
        """Copy weights in; the version they are kept under, by default that of their card.

        A version names the content of its weights, so one that is there already is kept, and only
        its card with page and pictures are renewed. Raises IncompleteWeightsError or RegistryError.
        """
        named = version_of(folder)
        if version not in (None, named):
            raise RegistryError(
                f"the card in {folder} says {named!r}, not {version!r}; a version is not renamed"
            )
        if not (folder / LABELS_FILE).is_file() or not list(folder.glob("*.safetensors")):
            raise IncompleteWeightsError(
                f"{folder} lacks {LABELS_FILE} or *.safetensors; add what `tapewatch train` wrote"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self.root) as incoming:
            copy = Path(incoming) / named
            copy.mkdir()
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    shutil.copyfile(path, copy / path.name)
            with self._locked():
                self._take_in(copy, self.root / named)
        return named

    def challenge(self, version: str, note: Note) -> None:
        """Make ``version`` the challenger. Raises UnknownVersionError, or if it serves already."""
        self.folder(version)

        def change(state: State) -> State:
            if version == (state.champion or self.shipped_version()):
                raise RegistryError(f"{version!r} is the champion; it cannot challenge itself")
            return State(state.champion, version, (*state.history, _entry(version, note)))

        self._change(change)

    def promote(self, version: str, note: Note, against: str) -> None:
        """Make ``version`` the champion in place of ``against``, which it was compared with.

        Raises ChampionMovedError if ``against`` does not serve any more, UnknownVersionError.
        """
        self.folder(version)

        def change(state: State) -> State:
            self._must_serve(against, state)
            challenger = None if state.challenger == version else state.challenger
            entry = _entry(version, note, Role.CHAMPION)
            return State(self._kept(version), challenger, (*state.history, entry))

        self._change(change)

    def rollback(self, note: Note, against: str) -> str:
        """Undo the last promotion that still holds, that of ``against``; who serves now.

        Raises NothingToRollBackError, ChampionMovedError, or UnknownVersionError when the version
        from before is gone.
        """

        def change(state: State) -> State:
            standing = _promoted(state.history)
            if not standing:
                raise NothingToRollBackError(
                    f"nothing to roll back to: {self.shipped_version()!r}, the shipped weights, "
                    "serves and was never replaced"
                )
            self._must_serve(against, state)
            before = standing[-2] if len(standing) > 1 else None
            if before is not None:
                self.folder(before)
            entry = _entry(against, note, Role.ROLLED_BACK)
            kept = before and self._kept(before)
            return State(kept, state.challenger, (*state.history, entry))

        return self._change(change).champion or self.shipped_version()

    def _kept(self, version: str) -> str | None:
        """How the state names a champion: None if only the package has those weights."""
        return None if self.folder(version) == self.shipped else version

    def _must_serve(self, version: str, state: State) -> None:
        serving = state.champion or self.shipped_version()
        if serving != version:
            raise ChampionMovedError(
                f"{serving!r} serves now, no longer {version!r}: another command was faster; "
                "look at `tapewatch models` and run yours again if it still fits"
            )

    def _take_in(self, copy: Path, kept: Path) -> None:
        if not (kept / CARD_FILE).is_file():
            copy.rename(kept)
            return
        for path in copy.iterdir():
            if path.name == CARD_FILE or path.suffix in _PAGE_SUFFIXES:
                path.replace(kept / path.name)

    def _change(self, change: Callable[[State], State]) -> State:
        with self._locked():
            changed = change(self.state())
            _write(self.root / REGISTRY_FILE, changed)
        return changed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _LOCK_FILE).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed
            yield


def version_of(folder: Path) -> str:
    """The version that the card in ``folder`` names. Raises IncompleteWeightsError or Damaged..."""
    path = folder / CARD_FILE
    try:
        version = msgspec.json.decode(path.read_bytes(), type=_Named).version
    except FileNotFoundError as error:
        raise IncompleteWeightsError(
            f"{folder} has no {CARD_FILE}; name a folder that `tapewatch train` wrote"
        ) from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedRegistryError(f"the card {path} cannot be read: {error}") from error
    if not _VERSION.fullmatch(version):
        raise DamagedRegistryError(
            f"the card {path} names the version {version!r}; only letters, digits, '_', '.' and "
            "'-' may be in it, the first a letter or digit, 100 at most"
        )
    return version


def _promoted(history: tuple[Entry, ...]) -> list[str]:
    """The promotions that still hold, the oldest first: a rollback takes the last one away."""
    standing: list[str] = []
    for entry in history:
        if entry.role is Role.CHAMPION:
            standing.append(entry.version)
        elif entry.role is Role.ROLLED_BACK and standing:
            standing.pop()
    return standing


def _entry(version: str, note: Note, role: Role = Role.CHALLENGER) -> Entry:
    return Entry(version, role, note.at, note.by, note.reason)


def _write(path: Path, state: State) -> None:
    """Replace the file by one that is whole and on the disk."""
    content = msgspec.json.format(msgspec.json.encode(state), indent=1)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".registry-", delete=False) as new:
        new.write(content + b"\n")
        new.flush()
        os.fsync(new.fileno())
    Path(new.name).chmod(0o644)
    Path(new.name).replace(path)
