# Sourced by the scripts beside it: `set_up run` or `set_up dev` makes or refreshes .venv.
#
# A stamp in .venv holds the lock files and pyproject.toml it was made from; while they agree,
# nothing is started, pip least of all. Everything said goes to standard error.

root="$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

say() { echo "livevision: $*" >&2; }

# All that .venv depends on: a checkout that moved, an edited lock file or a new dependency makes it
# stale.
wanted_stamp() {
    echo "$venv"
    [ "$1" = run ] || cat "$root/requirements-dev.lock"
    cat "$root/requirements.lock" "$root/pyproject.toml"
}

# Whether .venv has all that is needed for "run" or "dev"; "dev" has all that "run" has.
is_ready() {
    local kind
    for kind in dev "$1"; do
        if [ -f "$venv/livevision-$kind.stamp" ] && [ -x "$venv/bin/python" ] &&
            [ "$(<"$venv/livevision-$kind.stamp")" = "$(wanted_stamp "$kind")" ]; then
            return 0
        fi
    done
    return 1
}

# A Python that is new enough; each candidate is started, since a name on PATH need not work.
find_python() {
    local candidate
    local candidates=(python3 python3.13 python3.12 python3.11 python)
    [ -z "${LIVEVISION_PYTHON:-}" ] || candidates=("$LIVEVISION_PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    say "error: needs Python 3.11 or newer on PATH, or named in LIVEVISION_PYTHON"
    return 1
}

make_venv() {
    local python="$1"
    say "making .venv with $("$python" -V 2>&1)"
    "$python" -m venv --clear "$venv" >/dev/null 2>&1 && return 0
    # Debian keeps venv's own pip in a package of its own; the machine's pip does as well.
    "$python" -m venv --clear --without-pip "$venv" >&2 &&
        "$python" -m pip --python "$venv/bin/python" install --quiet pip >&2
}

install() {
    local kind="$1" lock="requirements.lock" quiet=--quiet
    [ "$kind" = run ] || lock="requirements-dev.lock"
    [ ! -t 2 ] || quiet=
    say "installing packages from $lock (the first time takes minutes)"
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check install $quiet)
    torch_for_cpus "${pip[@]}"
    "${pip[@]}" -r "$root/$lock" >&2 &&
        "${pip[@]}" --no-deps --no-build-isolation --editable "$root" >&2 &&
        ensure_opencv
}

# PyPI's PyTorch for Linux brings CUDA with it, six gigabytes. Where no NVIDIA GPU is to be seen its own
# index has the same version for CPUs; where that cannot be reached it has to be PyPI's.
torch_for_cpus() {
    [ "$(uname -s)" = Linux ] && [ ! -e /dev/nvidiactl ] || return 0
    "$@" --retries 0 --timeout 15 --no-deps --index-url https://download.pytorch.org/whl/cpu \
        "$(grep '^torch==' "$root/requirements.lock")" >&2 ||
        say "PyTorch's index of builds for CPUs is out of reach; taking PyPI's"
}

# The usual OpenCV needs libraries of a desktop. Where they are missing, the same version without
# windows does everything else.
ensure_opencv() {
    "$venv/bin/python" -c 'import cv2' 2>/dev/null && return 0
    local pin
    pin="$(grep '^opencv-python==' "$root/requirements.lock")"
    say "OpenCV cannot load here ($("$venv/bin/python" -c 'import cv2' 2>&1 | tail -n 1))"
    say "installing it without windows; for windows: apt-get install libgl1 libglib2.0-0" \
        "libxcb1, remove .venv, start again"
    "$venv/bin/python" -m pip uninstall --quiet --yes opencv-python >&2 &&
        "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps \
            "${pin/opencv-python/opencv-python-headless}" >&2
}

set_up() {
    local kind="$1" python
    is_ready "$kind" && return 0
    python="$(find_python)" || exit 2
    # One at a time. The lock is the kernel's: it goes when this shell goes, however it ends.
    exec 9>"$root/.venv.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if ! is_ready "$kind"; then
        # An environment that was left half-made is made anew: pip trusts what it finds.
        if [ -e "$root/.venv.unfinished" ] || ! is_sound; then
            touch "$root/.venv.unfinished"
            make_venv "$python" || fail
        fi
        touch "$root/.venv.unfinished"
        rm -f "$venv"/livevision-*.stamp
        install "$kind" || fail
        wanted_stamp "$kind" >"$venv/livevision-$kind.stamp"
        rm -f "$root/.venv.unfinished"
    fi
    exec 9>&-
}

is_sound() {
    "$venv/bin/python" -c "
import sys, pip
sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.argv[1])" "$venv" 2>/dev/null
}

fail() {
    say "error: setting up .venv failed (see above); the same command starts again"
    exit 1
}
