#!/bin/sh
# Sets a checkout up: the locked packages in .venv, the desk's script and style, and RabbitMQ where no broker is named. Run by
# `make`; safe to run at any time; costs nothing when there is nothing to do. Wants: Python 3.11 or later, on Debian, its kin, or
# macOS.
# What it takes from the environment: PYTHON (which Python), BROADSHEET_AMQP_URL (then no broker is installed), and pip's own.
set -eu

cd "$(dirname "$0")/../.."
STAMP=.venv/.set-up
ASSETS=services/api/desk/assets
BUILT=services/api/desk/static/.built
POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*" >&2; }
fail() { say "set-up: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# --- Packages -----------------------------------------------------------------------------------------------------------

locks() { cksum pyproject.toml requirements/dev.txt; pwd; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if has "$python" && new_enough "$python"; then command -v "$python"; return; fi
    done
    fail "Python 3.11 or later is needed, and none was found: install it, or say where it is: make PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python)
    say "set-up: .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv >/dev/null 2>&1 && return
    # Debian's Python comes without the module that puts pip into a new environment.
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if apt_get install "$package" >&2 && rm -rf .venv && "$python" -m venv .venv; then return; fi
    rm -rf .venv
    if has uv; then uv venv --quiet --seed --python "$python" .venv; return; fi
    fail "$python cannot make a virtual environment: install $package (apt-get install $package), then run this again"
}

install_packages() {
    { [ -x .venv/bin/python ] && new_enough .venv/bin/python; } || make_venv
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null 2>&1 || make_venv
    say "set-up: the packages of requirements/dev.txt"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt ||
        fail "pip could not install requirements/dev.txt (see above): is a package index within reach?"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    locks >"$STAMP"
}

# --- The desk's script and style ----------------------------------------------------------------------------------------

sources() { cat "$ASSETS"/*.js* "$ASSETS"/*.mjs "$ASSETS"/*.css "$ASSETS"/.npmrc | cksum; }

build_assets() {
    say "set-up: the desk's script and style"
    .venv/bin/python -m libs.local.desk_assets ||
        fail "the desk's script and style could not be built (see above): is the npm registry within reach?"
    sources >"$BUILT"
}

# --- RabbitMQ -----------------------------------------------------------------------------------------------------------

broker_is_named() { [ -n "${BROADSHEET_AMQP_URL:-}" ] || grep -qs '^ *\(export  *\)\{0,1\}BROADSHEET_AMQP_URL=.' .env; }

# The places where libs/local/rabbitmq.py looks too.
broker_is_installed() {
    for folder in "${HOMEBREW_PREFIX:-/opt/homebrew}/opt/rabbitmq/sbin" /usr/lib/rabbitmq/bin \
        /opt/homebrew/opt/rabbitmq/sbin /usr/local/opt/rabbitmq/sbin /home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin; do
        if [ -e "$folder/rabbitmq-server" ]; then return 0; fi
    done
    has rabbitmq-server
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() { [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }

apt_get() {
    has apt-get && may_be_root || return 1
    as_root apt-get update -qq || say "set-up: apt-get update failed; trying with the package lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@"
}

remove_policy() { as_root rm -f "$POLICY"; }

# Debian starts what it installs. Broadsheet runs nodes of its own, so the machine's broker is neither started nor enabled.
install_broker_with_apt() {
    if [ ! -e "$POLICY" ]; then
        trap remove_policy EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
    fi
    apt_get install rabbitmq-server >&2 || return 1
    if has systemctl; then as_root systemctl disable rabbitmq-server epmd.socket epmd.service >/dev/null 2>&1 || true; fi
}

install_broker() {
    say "set-up: RabbitMQ is missing and BROADSHEET_AMQP_URL is not set: installing rabbitmq-server"
    if has apt-get && may_be_root; then
        install_broker_with_apt && return
    elif has brew; then
        brew install --quiet rabbitmq >&2 && return
    fi
    fail "RabbitMQ could not be installed from here: install it (sudo apt-get install rabbitmq-server, or brew install" \
        "rabbitmq), or set BROADSHEET_AMQP_URL to a broker of your own"
}

if [ ! -x .venv/bin/python ] || [ "$(locks)" != "$(cat "$STAMP" 2>/dev/null)" ]; then install_packages; fi
if [ "$(sources)" != "$(cat "$BUILT" 2>/dev/null)" ]; then build_assets; fi
if ! broker_is_named && ! broker_is_installed; then install_broker; fi
