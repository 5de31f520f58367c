#!/bin/sh
# Sets up .venv once and starts the service. `./start.sh help` lists what it can do.
set -eu
# With standard input closed, the next file that is opened would take its place.
{ true <&0; } 2>/dev/null || exec </dev/null
CDPATH='' cd -- "$(dirname -- "$0")"

usage() {
    cat <<'END'
usage: ./start.sh [verb] [options]

start   start the Prefect server, the API and the workers (also without a verb)
demo    run an example workflow on a service of its own, then remove it
test    run the tests; options go to pytest
chaos   kill and freeze a service of its own for minutes and check that nothing is lost;
        options: --minutes N --seed S --database sqlite|postgresql ... (--help lists them)
setup   only prepare .venv, with the development tools
help    show this

The settings are in .env: see .env.example. PYTHON=/path/to/python chooses the interpreter.
END
}

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" || die "PYTHON: \"$PYTHON\" is not Python 3.11, 3.12 or 3.13."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.12 python3.11 python3.13 python3 python; do
        if suitable "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: PYTHON=/path/to/python ./start.sh"
}

make_venv() {
    chosen=$(find_python)
    rm -f .venv/installed-*
    say "Creating .venv with $("$chosen" --version) ..."
    if "$chosen" -m venv .venv >/dev/null 2>&1; then return; fi
    if command -v uv >/dev/null && uv venv --quiet --clear --seed --python "$chosen" .venv; then return; fi
    rm -f .venv/bin/python
    die "$chosen cannot create .venv: its venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"
}

pip_install() {
    exec .venv/bin/python -m pip --require-virtualenv --disable-pip-version-check --no-input \
        install --require-hashes -r "$1"
}

uv_install() {
    exec uv pip install --python .venv/bin/python --require-hashes -r "$1"
}

# Runs a command with a sign of life: pip takes a minute or two the first time.
patiently() {
    "$@" >>.venv/install.log 2>&1 &
    running=$!
    trap 'kill "$running" 2>/dev/null; exit 130' INT TERM
    seconds=0
    while kill -0 "$running" 2>/dev/null; do
        if [ -t 2 ]; then printf '\r  %s s ' "$seconds" >&2; fi
        sleep 1
        seconds=$((seconds + 1))
    done
    trap - INT TERM
    if [ -t 2 ]; then printf '\r' >&2; fi
    wait "$running"
}

is_installed() {
    [ -f ".venv/installed-$1" ] && [ "$(cat ".venv/installed-$1")" = "$(cksum <"$1")" ]
}

# Installs the lock $1, unless the note in .venv says that this very lock is installed.
install() {
    if is_installed "$1"; then return; fi
    # Packages that a new lock has dropped must go, so a change begins anew.
    if [ -f ".venv/installed-$1" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        rm -rf .venv
        make_venv
    fi
    say "Installing $(grep -c '==' "$1") packages from $1: a minute or two, once ..."
    : >.venv/install.log
    { command -v uv >/dev/null && patiently uv_install "$1"; } || patiently pip_install "$1" || {
        tail -n 20 .venv/install.log >&2
        die "The packages could not be installed. The whole log: .venv/install.log"
    }
    cksum <"$1" >".venv/installed-$1"
    say "Installed."
}

prepare() {
    if [ ! -x .venv/bin/python ]; then make_venv; fi
    install "$1"
}

prepare_development() {
    prepare requirements-dev.txt
    # The development lock holds the same versions and more.
    cksum <requirements.txt >.venv/installed-requirements.txt
}

has_postgresql() {
    command -v initdb >/dev/null && return
    for found in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$found" ] && return
    done
    return 1
}

prepare_postgresql() {
    if has_postgresql; then return; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing PostgreSQL for the tests ..."
        if apt-get -qq update >&2 &&
            DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install postgresql \
                >/dev/null; then
            if has_postgresql; then return; fi
        fi
    fi
    missing="PostgreSQL's server programs (initdb, postgres) were not found"
    if [ -n "${CI:-}" ]; then die "$missing: install them, since CI runs every test."; fi
    say "$missing: the tests on PostgreSQL will be reported as skipped."
}

run_tests() {
    prepare_development
    prepare_postgresql
    exec .venv/bin/python -m pytest -n 2 "$@"
}

run_chaos() {
    prepare_development
    exec .venv/bin/python -m tests.chaos.run "$@"
}

verb=${1:-start}
[ $# -eq 0 ] || shift
case $verb in
start)
    prepare requirements.txt
    exec .venv/bin/python start_service.py "$@"
    ;;
demo)
    prepare requirements.txt
    exec .venv/bin/python start_service.py demo "$@"
    ;;
test) run_tests "$@" ;;
chaos) run_chaos "$@" ;;
setup) prepare_development ;;
help | -h | --help) usage ;;
*)
    say "\"$verb\" is not a verb of ./start.sh."
    usage >&2
    exit 2
    ;;
esac
