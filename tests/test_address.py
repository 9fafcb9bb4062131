"""Addresses taken apart as FFmpeg does, whatever their passwords hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livevision.address import split_address


@pytest.mark.parametrize(
    ("uri", "user_info", "host", "port", "rest"),
    [
        ("rtsp://cam/a", None, "cam", "", "/a"),
        ("RTSP://me:pw@10.0.0.5:554/a?b#c", "me:pw", "10.0.0.5", "554", "/a?b#c"),
        ("rtsp://me:p@ss@cam/a", "me:p@ss", "cam", "", "/a"),
        ("rtsp://me:[x]@cam/a", "me:[x]", "cam", "", "/a"),
        ("http://[fe80::1%eth0]:80/", None, "[fe80::1%eth0]", "80", "/"),
        ("udp://@:1234", "", "", "1234", ""),
        ("http://cam:80/a@b", None, "cam", "80", "/a@b"),
        ("rtsp://a.b-c_d.example/x@y", None, "a.b-c_d.example", "", "/x@y"),
        ("http://bücher.example/", None, "bücher.example", "", "/"),
    ],
)
def test_sound_addresses(uri: str, user_info: str | None, host: str, port: str, rest: str) -> None:
    found = split_address(uri)
    assert (found.user_info, found.host, found.port, found.rest) == (user_info, host, port, rest)
    # One of them could be a user "cam" with the password "80/a", and a host "b".
    assert found.is_sound == (uri != "http://cam:80/a@b")


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://me:a/b@cam/x",  # the password ends the host
        "rtsp://me:p#s@cam",
        "rtsp://me:p?s@cam",
        "rtsp://me:12345/6@cam/x",
        "rtsp://me:p@ss#1@cam/x",
        "rtsp://me:secret",
        "rtsp://me:99999/x",
        "rtsp://me:pw\N{FULLWIDTH COMMERCIAL AT}cam/x",
        "rtsp://me%3Apw%40cam/x",
        "rtsp://[x/",
        "rtsp://[x]y/",
        "rtsp://",
        "rtsp:///x",
        "cam/x",
    ],
)
def test_what_can_have_no_host(uri: str) -> None:
    assert not split_address(uri).is_sound


@given(st.text())
@example("[")
def test_any_text_can_be_taken_apart(text: str) -> None:
    for uri in (text, f"rtsp://{text}", f"rtsp://{text}@host/"):
        found = split_address(uri)
        assert isinstance(found.is_sound, bool)
        assert found.host_name


def test_a_host_that_may_be_part_of_a_password_is_not_named() -> None:
    assert split_address("rtsp://me:12345/6@cam/x").host_name == "the host"
    assert split_address("rtsp://me:pw@cam/x").host_name == "cam"
