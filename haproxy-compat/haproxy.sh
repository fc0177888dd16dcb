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
why=$(bash "$(dirname "$0")/install.sh" haproxy)
command -v haproxy >/dev/null 2>&1 && exit 0
[ -z "$why" ] || echo "not installed: $why" >&2
echo 'no haproxy on PATH: install one, or name one with HAPROXY=/path/to/haproxy' >&2
exit 2
