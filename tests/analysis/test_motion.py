"""The fast filter gives the same estimates as the package's filter."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from trackers.core.bytetrack.tracklet import ByteTrackTracklet
from trackers.core.sort.tracklet import SORTTracklet
from trackers.utils.predict_timing import PredictTiming
from trackers.utils.state_representations import XYXYStateEstimator

from livevision.analysis.motion import CornerMotion

STEPS = st.lists(
    st.tuples(
        st.floats(0.02, 40.0),
        st.one_of(st.none(), st.lists(st.floats(-200, 2000), min_size=4, max_size=4)),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(first=st.lists(st.floats(0, 2000), min_size=4, max_size=4), steps=STEPS)
def test_the_estimate_equals_that_of_the_packages_filter(
    first: list[float], steps: list[tuple[float, list[float] | None]]
) -> None:
    for kind in (ByteTrackTracklet, SORTTracklet):
        theirs = kind(np.array(first), XYXYStateEstimator)
        ours = kind(np.array(first), CornerMotion)
        for frames, seen in steps:
            timing = PredictTiming(frames, frames / 30, frame_rate=30.0)
            for tracklet in (theirs, ours):
                tracklet.predict(timing)
                if seen is not None:
                    tracklet.update(np.array(seen))
            np.testing.assert_allclose(
                ours.get_state_bbox(), theirs.get_state_bbox(), rtol=1e-6, atol=1e-4
            )
