"""The machine that clients' files stand on, as far as it decides where: handed in, so that any can be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    platform: str
    """As `sys.platform` has it; what is neither `darwin` nor `win32` is taken for Linux."""
    home: Path
    directory: Path
    """Where the person stands: the project, for what is kept by project."""
    environment: Mapping[str, str] = field(repr=False)

    def named(self, variable: str) -> Path | None:
        """The directory that a variable names; none where it is unset, empty or relative."""
        value = Path(self.environment.get(variable) or "")
        return value if value.is_absolute() else None

    @property
    def xdg_config(self) -> Path:
        return self.named("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def app_settings(self) -> Path:
        """Where desktop apps keep theirs, as Electron has it."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.named("APPDATA") or self.home / "AppData" / "Roaming"
        return self.xdg_config
