"""What a run of the boxes leaves behind: a transcript of the ports, what was seen, and a table."""

from pathlib import Path


class Report:
    """A folder with `report.md`, and a file for each serial port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "report.md"
        self._path.write_text("# Two boxes in QEMU\n")

    def keep_screen(self, name: str, text: str) -> None:
        """All that the terminal of a technician has shown."""
        (self.folder / f"{name}-console.txt").write_text(text)

    def note(self, title: str, text: str) -> None:
        """What a program said."""
        self._append(f"\n## {title}\n\n```\n{text.strip()}\n```\n")

    def row(self, name: str, value: float, unit: str, limit: float | None = None) -> None:
        """One figure."""
        bound = f" (at most {limit} {unit})" if limit is not None else ""
        self._append(f"\n- {name}: {value} {unit}{bound}\n")

    def _append(self, text: str) -> None:
        with self._path.open("a") as file:
            file.write(text)
