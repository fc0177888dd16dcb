#!/usr/bin/env bash
# install.sh PACKAGE...: installs packages of Debian or Ubuntu where that is allowed (apt-get, as root, unless INSTALL=no).
# Prints `PACKAGE: why` for each that could not be had, and ends well all the same: the caller knows what it can do without.
set -euo pipefail

why=
if [ "${INSTALL:-yes}" = no ]; then
    why='INSTALL=no'
elif ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    why='only done with apt-get and as root'
fi
if [ -n "$why" ]; then
    printf "%s: $why\n" "$@"
    exit 0
fi
# Installed servers must not start: the policy is there for that, and goes away again.
policy=/usr/sbin/policy-rc.d
said=$(mktemp)
made=
trap 'rm -f "$said" $made' EXIT
if [ ! -e "$policy" ]; then
    made=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt=(timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
"${apt[@]}" update >/dev/null 2>&1 || true
# One by one: a package that this release does not have must not keep the others away.
for package; do
    "${apt[@]}" install -y --no-install-recommends "$package" >"$said" 2>&1 ||
        echo "$package: apt-get failed ($(tail -n 1 "$said"))"
done
