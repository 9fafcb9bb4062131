"""livevision itself: livevision_run.py CLIP OUT.mp4 MODEL TASK PRECISION [WxH]."""

import sys

from timing import timed

import livevision

clip, out, model, task, precision, *size = sys.argv[1:]
timed(
    livevision.run(
        source=clip,
        output=out,
        model=model,
        task=task,
        precision=precision,
        imgsz=size[0] if size else None,
        overwrite=True,
        headless=True,
        progress=False,
        quiet=True,
    )
)
