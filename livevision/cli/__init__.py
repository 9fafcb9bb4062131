"""The command line: `main` runs a command and turns any error into one line and an exit code.

Nothing heavy is imported here; a command's module is imported when it is called.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from livevision.cli.closed_streams import occupy_descriptors, standard_error
from livevision.errors import LivevisionError, OutputError, UsageError, missing_module
from livevision.redact import redact, redact_uri
from livevision.runtime.own_process import end_soon, without_collection
from livevision.runtime.signals import drop_lost_terminal, ending_signals, leave_if_busy, received

INTERRUPTED, READER_GONE = 130, 141


class _Interrupted(BaseException):
    """Ctrl-C outside a running pipeline.

    Not a KeyboardInterrupt: when one passes through code compiled from text, as importing does,
    Python remembers it and ends the process by the signal even if it is caught.
    """


class _Terminated(BaseException):
    """SIGTERM or SIGHUP outside a running pipeline, which would finish its files first."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments after the program's name; by default those of the process.
    """
    own_process = argv is None
    if own_process:
        occupy_descriptors()
    with standard_error():
        code = _run(list(sys.argv[1:] if argv is None else argv), own_process)
    if own_process:
        leave_if_busy(code)
        end_soon()
    return code


def _run(arguments: list[str], own_process: bool) -> int:
    """Run a command and report the error that ended it."""
    try:
        with _signals_raise():
            code = _command(arguments, own_process)
            _flush_stdout()
            return code
    except (KeyboardInterrupt, _Interrupted):
        _say("stopped")
        return INTERRUPTED
    except _Terminated as ended:
        _say("terminated")
        return 128 + ended.number
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        _drop_stdout()
        return READER_GONE
    except LivevisionError as error:
        if _debugging(arguments, error):
            _print_traceback(arguments)
        _say(_without_secrets(" ".join(str(error).split()), arguments), logging.ERROR)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _drop_stdout()
            # Output files name themselves; what remains is usually stdout.
            what = f"cannot write {error.filename or 'standard output'}: {error.strerror}"
            _say(what, logging.ERROR)
            return OutputError.exit_code
        if isinstance(error, ModuleNotFoundError):
            needed = missing_module(error, _named(arguments))
            if needed is not None:
                if _debugging(arguments, needed):
                    _print_traceback(arguments)
                _say(str(needed), logging.ERROR)
                return needed.exit_code
        _print_traceback(arguments)
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _say(
            f"internal error: {redact(_without_secrets(what, arguments))} (this is a bug of "
            "livevision; please report it with the lines above)"
        )
        return LivevisionError.exit_code


def _named(arguments: Sequence[str]) -> str:
    """The command as the user typed it, with the switch that changes what it needs."""
    command = arguments[0] if arguments and not arguments[0].startswith("-") else "run"
    switch = " --counts" if command == "models" and "--counts" in arguments else ""
    return f"livevision {command}{switch}"


def _command(arguments: list[str], own_process: bool = False) -> int:
    with without_collection(own_process):
        import click

        from livevision.cli import messages
        from livevision.cli.commands import cli

    wanted = any(word.endswith("json") for word in _after("--log-format", arguments))
    messages.set_up(as_json=wanted)
    try:
        # Click's own `main` handles a closed pipe and a full disk differently.
        with cli.make_context("livevision", arguments, obj=own_process) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.NoSuchOption as error:
        from livevision.config.habits import instead_of

        instead = instead_of(error.option_name)
        message = f"no such option {error.option_name!r}. Here: {instead}"
        raise _usage_error(message if instead else error.format_message(), error) from error
    except click.ClickException as error:
        message = error.format_message()
        raise _usage_error(message, error) from error
    return code if isinstance(code, int) else 0


def _after(flag: str, arguments: Sequence[str]) -> list[str]:
    """The values of a flag, before the command line is parsed: errors before it have its form."""
    pairs = zip(arguments, [*arguments, ""][1:], strict=True)
    return [after if word == flag else word for word, after in pairs if word.startswith(flag)]


def _usage_error(message: str, error: Exception) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "livevision"
    return UsageError(f"{message[:1].lower()}{message[1:].rstrip('.')} (see {path} --help)")


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Raise on Ctrl-C, SIGTERM and SIGHUP, until a running pipeline takes them over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        drop_lost_terminal()
        received.append(number)
        raise _Interrupted if number == signal.SIGINT else _Terminated(number)

    def pass_over(lost: sys.UnraisableHookArgs) -> None:
        """Nothing can be raised in the callback of a weak reference: `received` has the signal."""
        if not isinstance(lost.exc_value, _Interrupted | _Terminated):
            shown(lost)

    received.clear()
    shown, sys.unraisablehook = sys.unraisablehook, pass_over
    before = {number: signal.signal(number, handle) for number in ending_signals()}
    try:
        yield
    finally:
        sys.unraisablehook = shown
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_traceback(arguments: Sequence[str]) -> None:
    """Print the current traceback, with secrets removed from addresses."""
    text = redact(_without_secrets(traceback.format_exc(), arguments))
    with contextlib.suppress(OSError):
        print(text, end="", file=sys.stderr)


def _without_secrets(text: str, arguments: Sequence[str]) -> str:
    """Replace every command-line argument that holds secrets by its redacted form."""
    for argument in arguments:
        for given in (argument, argument.partition("=")[2]):
            shown = redact_uri(given)
            if shown != given:
                for form in (given, str(Path(given))):
                    text = text.replace(form, shown).replace(repr(form)[1:-1], shown)
    return text


def _flush_stdout() -> None:
    """Flush stdout now, so that a full disk or a closed pipe still changes the exit code."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _drop_stdout() -> None:
    """Point stdout at the null device, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging(arguments: Sequence[str], error: LivevisionError) -> bool:
    """Whether to print the traceback; a usage error needs none."""
    if os.environ.get("LIVEVISION_DEBUG", "0") not in ("", "0"):
        return True
    return not isinstance(error, UsageError) and not {"-v", "--verbose"}.isdisjoint(arguments)


def _say(line: str, level: int = logging.INFO) -> None:
    from livevision.cli import messages

    messages.say(line, level)
