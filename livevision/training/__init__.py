"""Training of the nets: data sets, augmentation, losses, metrics, and one loop for all tasks.

`scripts/train configs/NAME.yaml --data DIR` is the way in; `loop.train` is the place to read.
"""
