#!/usr/bin/env bash
# Starts the proxy, or one of the commands below. Installs what is needed first. See `./run.sh help`.
set -euo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"

usage() {
    cat <<'TEXT'
./run.sh [options]       starts the proxy with mitmdump; options are mitmdump's
./run.sh web [options]   the same with mitmweb, to look at requests while debugging
./run.sh check           checks your configuration; --json prints JSON, --address URL also checks the clients' address
./run.sh set-up          only installs what the other commands need; they do it themselves
./run.sh test [args]     runs the tests; args are pytest's; --live runs only those against real servers
./run.sh bench [--quick] measures the speed; --out FILE.svg writes a picture
./run.sh help            prints this text

FORGEJO_URL                     scheme, host and port of your Forgejo, as http://127.0.0.1:3000
                                (without it, a demo Forgejo with sample runs is started)
FORGEJO_ADMIN_USER              the account whose web session the proxy uses
FORGEJO_ADMIN_PASSWORD[_FILE]   its password, or a file with the password
FORGEJO_ADMIN_TOTP_SECRET       base32 secret, if the account has a second factor
LISTEN                          host:port or port to listen on; default 127.0.0.1:8080
TEXT
}

main() {
    case "${1:-serve}" in
        help | -h | --help) usage ;;
        test)
            set_up
            run_tests "${@:2}"
            ;;
        bench)
            set_up
            exec .venv/bin/python -m tests.bench "${@:2}"
            ;;
        check)
            set_up
            exec .venv/bin/python -m addon.check "${@:2}"
            ;;
        set-up) set_up ;;
        web) serve mitmweb --set web_open_browser=false "${@:2}" ;;
        serve) serve mitmdump "${@:2}" ;;
        -*) serve mitmdump "$@" ;;
        *) fail "unknown command '$1'; see ./run.sh help" ;;
    esac
}

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

# --- set-up ---------------------------------------------------------------------------------------------------------

# Prints the path of a Python 3.12 or later. Version managers have shims for versions that are not installed, so each
# candidate is tried.
find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3 \
        /usr/local/bin/python3.1[2-9] /opt/*/bin/python3.1[2-9] \
        "$(uv python find '>=3.12' 2>/dev/null || true)"; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "needs Python 3.12 or later with venv: install python3.12 and python3.12-venv (or run: uv python install 3.12)"
}

# Makes .venv from requirements.lock, unless it was made in this folder from this lock file.
set_up() {
    is_set_up && return
    [[ -w . ]] || fail "$here is not set up for $(id -un): run ./run.sh set-up as the owner of $here, with a Python that $(id -un) may run"
    local python
    python=$(find_python)
    mkdir -p .mitm
    exec 9>.mitm/set-up.lock
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' # one process at a time; the lock belongs to the open file, so it outlives Python
    if ! is_set_up; then
        echo "run.sh: setting up .venv with $("$python" --version), once" >&2
        rm -rf .venv
        "$python" -m venv .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
            || fail "the packages of requirements.lock can't be installed (see above)"
        stamp >.venv/stamp
    fi
    exec 9>&-
}

# The stamp is written last, so an interrupted set-up is repeated.
is_set_up() {
    [[ -x .venv/bin/python && -f .venv/stamp && $(<.venv/stamp) == "$(stamp)" ]]
}

# A .venv can't be moved: its scripts contain the folder's path.
stamp() {
    echo "$here $(cksum <requirements.lock)"
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
    .venv/bin/python -m pytest "${args[@]}" "$@"
}

# --- serving --------------------------------------------------------------------------------------------------------

serve() {
    local program=$1
    shift
    local listen=${LISTEN:-127.0.0.1:8080}
    [[ ! $listen =~ ^[0-9]+$ ]] || listen=127.0.0.1:$listen
    [[ $listen =~ ^[^/[:space:]]+:([0-9]{1,5})$ && 10#${BASH_REMATCH[1]} -le 65535 ]] || fail "LISTEN is '$LISTEN'; write host:port or port, as 127.0.0.1:8080"
    listen=${listen//[\[\]]/} # mitmproxy takes IPv6 addresses without brackets
    [[ -n ${FORGEJO_URL:-} || -z ${FORGEJO_ADMIN_USER:-} ]] || fail "FORGEJO_ADMIN_USER is set, but FORGEJO_URL is not; set both, or neither for the demo"
    [[ -z ${FORGEJO_URL:-} ]] || check_environment
    set_up
    .venv/bin/python -m addon.proxy.option_file mitm.yaml || exit 2
    link_options
    if [[ -z ${FORGEJO_URL:-} ]]; then
        # The demo has its own account; it must not get a real password.
        unset FORGEJO_ADMIN_PASSWORD_FILE FORGEJO_ADMIN_TOTP_SECRET
        exec .venv/bin/python -m tests.double.serve_demo "$listen" .venv/bin/"$program" --set "confdir=$here/.mitm" "$@"
    fi
    exec .venv/bin/"$program" --set "confdir=$here/.mitm" --mode "reverse:${FORGEJO_URL%/}@$listen" "$@"
}

# mitmproxy reads only config.yaml in its confdir, and keeps its certificates there.
link_options() {
    mkdir -p .mitm
    chmod 700 .mitm
    ln -sfn ../mitm.yaml .mitm/config.yaml
}

check_environment() {
    [[ $FORGEJO_URL =~ ^https?://([^/@?#:[:space:]]+|\[[0-9a-fA-F:]+\])(:([0-9]{1,5}))?/?$ && 10#${BASH_REMATCH[3]:-0} -le 65535 ]] \
        || fail "FORGEJO_URL is '$FORGEJO_URL'; write scheme, host and port, without a path, as http://127.0.0.1:3000"
    [[ -n ${FORGEJO_ADMIN_USER:-} ]] || fail "FORGEJO_ADMIN_USER is not set; name the account whose web session the proxy uses"
    if [[ -n ${FORGEJO_ADMIN_PASSWORD_FILE:-} ]]; then
        [[ -r $FORGEJO_ADMIN_PASSWORD_FILE ]] || fail "FORGEJO_ADMIN_PASSWORD_FILE is '$FORGEJO_ADMIN_PASSWORD_FILE', which can't be read"
    elif [[ -z ${FORGEJO_ADMIN_PASSWORD:-} ]]; then
        fail "set FORGEJO_ADMIN_PASSWORD_FILE or FORGEJO_ADMIN_PASSWORD for $FORGEJO_ADMIN_USER"
    fi
}

main "$@"
