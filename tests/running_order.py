"""Which files of tests are begun first, and which last; the others come between them as they are.

Long files come first, the longest of them before the others, so that at the end no process is busy
with one while the others have nothing left. Files that measure the pace of streams come last, when
no other test wants the cores: starved, they would measure the machine. A file that is missing here
is no fault. To see how long files take: ``scripts/test --durations=50``.
"""

from __future__ import annotations

LONG_FIRST = (
    "web/test_browser.py",
    "web/test_scenes.py",
    "docs/test_examples.py",
    "training/test_resuming.py",
    "training/test_processes.py",
    "runtime/test_segments.py",
    "models/test_every_net.py",
    "output/test_extras.py",
    "scripts/test_train_queue.py",
    "capture/test_stream.py",
    "web/test_operations.py",
    "output/test_stream.py",
    "end_to_end/test_waits.py",
    "cli/test_train_folder.py",
    "web/test_recorded.py",
    "test_redact.py",
    "training/test_every_net.py",
    "end_to_end/test_nothing_reports_home.py",
    "output/test_video_file.py",
    "test_without_torch.py",
    "bench/test_pipeline.py",
    "training/test_outputs.py",
    "end_to_end/test_video_files.py",
    "end_to_end/test_stopping.py",
    "runtime/test_clips.py",
    "fleet/test_backlog.py",
    "end_to_end/test_live.py",
    "end_to_end/test_failing_files.py",
    "web/test_malformed.py",
    "fleet/test_on_ray.py",
)

PACE_LAST = (
    "capture/test_backlog.py",
    "capture/test_lag.py",
    "capture/test_catching_up.py",
    "end_to_end/test_figures.py",
)


def place(file: str) -> int:
    """Sorts files, each a path below ``tests``."""
    if file in LONG_FIRST:
        return LONG_FIRST.index(file) - len(LONG_FIRST)
    return PACE_LAST.index(file) + 1 if file in PACE_LAST else 0
