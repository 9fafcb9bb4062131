"""No part of a password is shown, whatever it holds and wherever its address is told."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from livevision import cli
from livevision.capture.locate import expand
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.config import Settings
from livevision.errors import LivevisionError, SourceError
from livevision.redact import redact, redact_uri

# Each part of such a password would be known again.
PASSWORDS = (
    "kaese",
    "kaese brot",
    "ka@ese#1",
    "kaese/brot@wurst",
    "kaese#brot/wurst@senf",
    "12345/6kaese",
    "[kaese]",
    "kaese]",
    "[kaese",
    "kaese:brot",
    "kaese?brot",
    "kaese&brot=1",
    "kaese//brot",
    "kaese\\brot",
    "kaese%brot",
    "kaese%40brot",
    "kaese'brot\"wurst",
    "http://kaese",
    "kaese\N{FULLWIDTH COMMERCIAL AT}brot",
    "käse brot",
    "@kaese@",
    "/kaese",
    "kaese...",
)
PARTS = ("kaese", "brot", "wurst", "senf", "ese#1", "12345", "käse", "chef")


def no_part_of_it(text: str) -> bool:
    return not [part for part in PARTS if part in text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:geheim@10.0.0.5:554/main", "rtsp://***@10.0.0.5:554/main"),
        ("rtsp://admin:ge@heim@host/main", "rtsp://***@host/main"),
        ("rtsp://admin:ge/heim@host/main", "rtsp://***@host/main"),
        ("http://h/v?password=geheim&size=2", "http://h/v?password=***&size=2"),
        ("http://h/v?size=2&access_token=geheim", "http://h/v?size=2&access_token=***"),
        ("http://h/v#access_token=geheim", "http://h/v#access_token=***"),
        ("rtsp://h/user=admin_password=geheim_stream=0.sdp", "rtsp://h/user=***"),
        ("rtsp://h/size=1_password=geheim", "rtsp://h/size=***"),
        ("srt://h:1?streamid=read:cam:me:geheim&mode=caller", "srt://h:1?streamid=***&mode=caller"),
        (
            "gst:rtspsrc location=rtsp://a:geheim@h user-pw=geheim ! fakesink",
            "gst:rtspsrc location=rtsp://***@h user-pw=*** ! fakesink",
        ),
        (
            'gst:rtspsrc location="rtsp://h/a" user-pw="ge \\" heim" user-id=ge\\ heim ! fakesink',
            'gst:rtspsrc location="rtsp://h/a" user-pw=*** user-id=*** ! fakesink',
        ),
    ],
)
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert redact_uri(text) == shown
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://h/v?password=ge heim;x&size=2", "http://h/v?password=***&size=2"),
        ("http://h/v?password=ge&heim&size=2", "http://h/v?password=***&size=2"),
        ("rtsp://admin:geheim", "rtsp://***"),  # @ and host were forgotten
        ("rtsp://admin:ge heim/x", "rtsp://***"),
        ("rtsp:/admin:geheim@h/x", "rtsp:/***@h/x"),
        ("rtsp:admin:geheim@h/x", "rtsp:***@h/x"),
        ("rtsp:\\\\admin:geheim@h", "rtsp:\\\\***@h"),
        ("admin:geheim@h/x", "***@h/x"),
        ("http://host:8080/a@b", "http://***@b"),  # "host" may be a user
        ("http://h/v?token=ge@heim&size=2", "http://***&size=2"),  # "heim" may be a host
        ("http://h/v?size=2&token=ge@heim@", "http://***"),
        ("srt://h:9?passphrase=ge@heim", "srt://***"),
        ("rtsp://h/user=admin_password=ge@heim_stream=0.sdp", "rtsp://***"),
        ("gst:src user-pw=ge&heim user-id=ge heim ! a", "gst:src user-pw=*** user-id=*** ! a"),
        ('gst:rtspsrc user-pw=ge"heim\n b=c ! d', "gst:rtspsrc user-pw=*** b=c ! d"),
        ("gst:a location=rtsp://u:ge\nheim@h ! b", "gst:a location=rtsp://***@h ! b"),
    ],
)
def test_what_is_no_proper_address_is_hidden_too(uri: str, shown: str) -> None:
    assert redact_uri(uri) == shown


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://host/stream?channel=1&subtype=0",
        "http://[::1]:8080/a",
        "clips/a=b.mp4",
        "clips/a@b.mp4",
        "C:\\clips\\a@b.mp4",
        "10:30.mp4",
        "synthetic://64x48@30",
        "no such file: me@x.mp4",
        "rtsp://***@host: write @ as %40",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_uri(text) == text or " " in text
    assert redact(text) == text


ANYTHING = st.text(st.characters(exclude_categories=("Cs",)))
HOSTS = st.sampled_from(["cam", "10.0.0.5", "cam.example:554", "[::1]:80"])
PATHS = st.sampled_from(["", "/", "/a/b.sdp", "/a?channel=1"])


@given(st.sampled_from(["rtsp", "http", "rtmp", "x-new"]), ANYTHING, ANYTHING, HOSTS, PATHS)
def test_whatever_the_password_only_host_and_path_are_left(
    scheme: str, user: str, password: str, host: str, path: str
) -> None:
    assume(not user.startswith(("/", "\\")))
    shown = redact_uri(f"{scheme}://{user}:{password}@{host}{path}")
    assert shown == f"{scheme}://***@{host}{path}"
    assert redact_uri(shown) == shown


@given(ANYTHING, ANYTHING, HOSTS, ANYTHING, ANYTHING)
def test_in_the_middle_of_other_words(
    user: str, password: str, host: str, before: str, after: str
) -> None:
    secret = f"{user}:{password}"
    assume("\n" not in secret and "***" not in secret and "@" not in after)
    text = redact(f"{before.replace('@', '')} 'rtsp://{secret}@{host}'{after}")
    assert f"{secret}@" not in text


@given(ANYTHING)
def test_hiding_twice_is_hiding_once(text: str) -> None:
    assert redact_uri(redact_uri(text)) == redact_uri(text)


@given(st.text("abc=&?/;", max_size=30), st.sampled_from(["password", "token", "api_key", "pw"]))
def test_a_token_of_any_kind_is_hidden(path: str, name: str) -> None:
    assert "XSECRETX" not in redact_uri(f"http://host/{path}?{name}=XSECRETX")
    assert "XSECRETX" not in redact(f"cannot open http://host/{path}?{name}=XSECRETX: refused")


@given(ANYTHING, st.sampled_from(["", "&a=b"]))
def test_a_token_with_an_at_is_hidden(value: str, more: str) -> None:
    assume("&" not in value and "=" not in value)
    for given_value in (f"XSECRETX{value}@YSECRETY", f"XSECRETX@{value}YSECRETY"):
        shown = redact_uri(f"http://host/a?token={given_value}{more}")
        assert "SECRET" not in shown


@pytest.mark.parametrize(
    "text",
    ["?" + "a_" * 20000 + "=b", "rtsp://" * 20000, "a://b@" * 9000, "?a=" + "&b" * 20000 + "="],
    ids=["names", "schemes", "users", "settings"],
)
def test_hiding_takes_no_longer_for_tricky_text(text: str) -> None:
    # A careless pattern needs minutes or hours for these: the runner's time limit would tell.
    assert len(redact(text)) > 0
    assert len(redact_uri(f"http://{text}")) > 0


# Where addresses are told ------------------------------------------------------------------------


def addresses(password: str) -> tuple[str, ...]:
    """The ways to write it, each with a host that nothing answers at."""
    place = f"chef:{password}@127.0.0.1:1/live"
    return (f"rtsp://{place}", f"http://{place}", f"rtsp:/{place}", f"ftp://{place}", place)


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_error_and_no_traceback_tells_it(
    password: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for uri in addresses(password):
        with pytest.raises(LivevisionError) as caught:
            StreamSource(expand([uri])[0][1], SourceOptions(retry_for=0.1))
        told = "".join(traceback.format_exception(caught.value))
        # The lines of code in a traceback are this file's, with no password in them.
        assert no_part_of_it(told.replace("chef:", "")), told
        assert no_part_of_it(caplog.text)


@pytest.mark.parametrize("password", ["kaese/brot", "kaese#brot", "kaese?brot"])
def test_what_would_be_cut_is_refused_with_the_remedy(password: str) -> None:
    with pytest.raises(LivevisionError, match="percent-encoded: @ as %40") as caught:
        expand([f"rtsp://chef:{password}@cam.example/live"])
    assert str(caught.value).startswith("rtsp://***@cam.example/live: ")


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_command_tells_it(
    password: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the wrong place too, and with the traceback that --verbose and a bug of ours bring."""
    monkeypatch.setenv("LIVEVISION_DEBUG", "1")
    uri = f"rtsp://chef:{password}@127.0.0.1:1/live"
    run = ("--headless", "--retry-for", "0.1", "--output", str(tmp_path / "o.jsonl"))
    for arguments in (
        ("--source", uri, *run),
        (f"--source={uri}", *run),
        (uri,),
        ("--source", "synthetic", "--output", uri.replace("rtsp", "ftp")),
        ("--source", "synthetic", "--weights", uri, *run),
        ("--source", "synthetic", "--task", uri, *run),
        ("--source", "synthetic", "--imgsz", uri, *run),
        ("--source", "synthetic", "--device", uri, *run),
        ("--source", "synthetic", "--classes", uri, *run),
        ("--config", uri),
        ("train", uri),
        ("eval", "--weights", uri, "--data", uri),
    ):
        assert cli.main(arguments) not in (0, 1), arguments
        out, err = capfd.readouterr()
        assert no_part_of_it(out + err), (arguments, out + err)
        assert "internal error" not in err


def test_an_error_of_ours_tells_it_no_more(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise RuntimeError("cannot read 'rtsp://chef:kaese brot@cam/live'")

    monkeypatch.setattr(cli, "_command", broken)
    assert cli.main([]) == 1
    err = capfd.readouterr().err
    assert "internal error: RuntimeError: cannot read 'rtsp://***@cam/live'" in err
    assert "Traceback" in err
    assert no_part_of_it(err.replace("broken", ""))


def test_a_setting_of_a_file_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(LivevisionError) as caught:
        Settings.checked({"source": "synthetic", "task": "rtsp://chef:kaese brot@cam/a"}, str)
    assert no_part_of_it(str(caught.value))


@settings(max_examples=60)
@given(ANYTHING.filter(lambda text: "\0" not in text))
def test_any_password_makes_one_plain_line_or_an_address(password: str) -> None:
    uri, told = f"rtsp://chef:XX{password}XX@127.0.0.1/live", ""
    try:
        assert expand([uri]) == [("stream", uri)]
    except LivevisionError as error:
        told = str(error)
    assert "XX" not in told
    assert "chef" not in told


def test_reports_rows_and_file_names_hold_none(tmp_path: Path) -> None:
    """From outside, where standard error and every file are looked at."""
    uri = "rtsp://chef:kaese brot@127.0.0.1:1/live"
    done = subprocess.run(
        [sys.executable, "-m", "livevision", "--source", uri, "--source", "synthetic://64x48@30"
         "?frames=2", "--task", "detect", "--model", "thundernet-snet49", "--headless", "--verbose",
         "--retry-for", "0.1", "--output", f"{tmp_path}/", "--output", f"{tmp_path}/rows.jsonl",
         "--report", f"{tmp_path}/report.json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == SourceError.exit_code, done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"rows.jsonl", "report.json"} <= {path.name for path in files}
    told = done.stdout + done.stderr + "".join(map(str, files))
    told += "".join(p.read_text(errors="replace") for p in files)
    assert no_part_of_it(told)
    assert "rtsp://***@127.0.0.1:1/live" in told
