#!/usr/bin/env bash
# Makes sure that there is a haproxy to compare with: the one that is named, the one on PATH, or the one that Debian or
# Ubuntu have, installed where that is allowed (as root, unless INSTALL=no). Says what to do otherwise.
set -euo pipefail

named=${1:-}
if [ -n "$named" ]; then
    [ -x "$named" ] && exit 0
    echo "HAPROXY=$named is no program" >&2
    exit 2
fi
command -v haproxy >/dev/null 2>&1 && exit 0
if [ "${INSTALL:-yes}" != no ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # The service must not start.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt=(timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
    "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends haproxy >/dev/null && exit 0
fi
echo 'no haproxy on PATH: install one, or name one with HAPROXY=/path/to/haproxy' >&2
exit 2
