#!/usr/bin/env bash
# Starts the proxy, or one of the commands below. Installs what is needed first. See `./run.sh help`.
set -euo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"

main() {
    case "${1:-}" in
        help | -h | --help) cat addon/command/usage.txt ;;
        test)
            set_up requirements-dev.lock
            run_tests "${@:2}"
            ;;
        bench)
            set_up requirements-dev.lock
            exec .venv/bin/python -m tests.bench "${@:2}"
            ;;
        set-up) set_up requirements.lock ;;
        "" | check | web | -*)
            set_up requirements.lock
            exec .venv/bin/python -m addon.command "$@"
            ;;
        *) fail "unknown command '$1'; see ./run.sh help" ;;
    esac
}

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

# --- set-up ---------------------------------------------------------------------------------------------------------

# Installs the packages of a lock file into .venv, unless they are installed.
set_up() {
    local lock=$1
    ! is_set_up "$lock" || return 0
    [[ -w . ]] || fail "$here is not set up for $(id -un): run ./run.sh set-up as the owner of $here, with a Python that $(id -un) may run"
    local uv python
    uv=$(find_uv)
    python=$(find_python)
    mkdir -p .mitm
    exec 9>.mitm/set-up.lock
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' # one process at a time; the lock belongs to the open file, so it outlives Python
    if ! is_set_up "$lock"; then
        echo "run.sh: setting up .venv from $lock with $("$python" --version)${uv:+ and uv}, once" >&2
        install_with_uv || install_with_pip || fail "the packages of $lock can't be installed (see above)"
        write_stamp
    fi
    exec 9>&-
}

# The stamp has a line for each lock file that is installed. It is written last, so an interrupted set-up is repeated.
# A .venv can't be moved, because its scripts contain the folder's path: so does the stamp.
is_set_up() {
    [[ -x .venv/bin/python && -f .venv/stamp ]] && grep -qxF -e "$(stamp "$1")" .venv/stamp
}

stamp() {
    echo "$here $(cksum <"$1")"
}

# requirements-dev.lock has all packages of requirements.lock too, in the same versions.
write_stamp() {
    stamp requirements.lock >.venv/stamp
    [[ $lock == requirements.lock ]] || stamp "$lock" >>.venv/stamp
}

install_with_uv() {
    [[ -n $uv ]] || return
    has_venv || { rm -rf .venv && "$uv" venv --quiet --python "$python" .venv; } || return
    "$uv" pip install --quiet --compile-bytecode --python .venv/bin/python --require-hashes -r "$lock"
}

# The pip of $python installs into .venv. Where that has none, as on Debian, .venv gets its own.
install_with_pip() {
    local pip=("$python" -m pip --python .venv/bin/python)
    has_venv || { rm -rf .venv && "$python" -m venv --without-pip .venv; } || return
    if ! "$python" -c 'import pip' 2>/dev/null; then
        .venv/bin/python -m ensurepip >/dev/null || return
        pip=(.venv/bin/python -m pip)
    fi
    # One pip would keep one processor busy for as long as two are now. The lock file names every package, so there are no
    # dependencies to look for. xargs waits for both, and fails if one does.
    local half
    for half in 0 1; do
        awk -v half="$half" '/^[a-z]/ { n++ } n % 2 == half' "$lock" >".mitm/packages-$half.txt"
    done
    printf '%s\n' 0 1 | xargs -P 2 -I '{}' "${pip[@]}" install --quiet --disable-pip-version-check --no-compile --no-deps \
        --require-hashes -r '.mitm/packages-{}.txt' || return
    .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null || true # some packages contain files for other versions
}

# Whether there is a .venv that a new lock file can update: a finished one, made in this folder.
has_venv() {
    .venv/bin/python -c '' 2>/dev/null && [[ -f .venv/stamp && $(<.venv/stamp) == "$here "* ]]
}

# Prints the path of uv, or nothing. Its installer puts it where PATH may not have it yet.
find_uv() {
    command -v uv || command -v "${HOME:-}/.local/bin/uv" || true
}

# Prints the path of a Python 3.12 or later. Version managers have shims for versions that are not installed, so each
# candidate is tried.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3 \
        /usr/local/bin/python3.1[2-9] /opt/*/bin/python3.1[2-9]; do
        ! can_set_up "$candidate" || return 0
    done
    if [[ -n $uv ]]; then
        can_set_up "$("$uv" python find --system '>=3.12' 2>/dev/null)" && return
        echo "run.sh: no Python 3.12 or later: uv installs one" >&2
        "$uv" python install 3.13 >&2 && can_set_up "$("$uv" python find --system 3.13)" && return
    fi
    fail "needs Python 3.12 or later, with venv. One of these brings it:
  Debian 13, Ubuntu 24.04   apt install python3-venv
  Ubuntu 22.04              add-apt-repository ppa:deadsnakes/ppa && apt install python3.12-venv
  RHEL 9 and the like       dnf install python3.12
  macOS                     brew install python@3.13
  Debian 12, all others     curl -LsSf https://astral.sh/uv/install.sh | sh
The last one installs uv for your user. Then run ./run.sh again: it lets uv install Python."
}

# Prints the path of a Python, if it is new enough and has what makes a .venv: uv needs nothing more.
can_set_up() {
    "$1" -c '
import sys
from importlib.util import find_spec
can_install = sys.argv[1] or (find_spec("venv") and (find_spec("pip") or find_spec("ensurepip")))
if sys.version_info < (3, 12) or not can_install:
    sys.exit(1)
print(sys.executable)' "$uv" 2>/dev/null
}

# --- tests ----------------------------------------------------------------------------------------------------------

run_tests() {
    local args=(-q -n 6) # also on two cores: many tests wait most of the time
    if [[ ${1:-} == --live ]]; then
        shift
        [[ -n ${FORGEJO_LIVE_URL:-} && -n ${FORGEJO_LIVE_ADMIN_USER:-} && -n ${FORGEJO_LIVE_ADMIN_PASSWORD:-} ]] \
            || fail "--live needs FORGEJO_LIVE_URL, FORGEJO_LIVE_ADMIN_USER and FORGEJO_LIVE_ADMIN_PASSWORD"
        args+=(-m live tests/live)
    fi
    # Many processes are started: with their bytecode at hand, each starts faster.
    PYTHONDONTWRITEBYTECODE="" .venv/bin/python -m pytest "${args[@]}" "$@"
}

main "$@"
