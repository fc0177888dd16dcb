#!/usr/bin/env bash
# What `make bench` and `make instructions` can use beside Rust, installed where that is allowed (Debian or Ubuntu, root,
# unless INSTALL=no). What is missing in the end is named, with what it leaves out; nothing of it is needed.
set -euo pipefail

# program, Debian package, what needs it
tools='wrk wrk the workload wrk-small
nginx nginx-light the contender nginx
h2load nghttp2-client the workload h2load-pipeline
taskset util-linux a core of its own for the proxy
valgrind valgrind make instructions'

present() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

missing=()
while read -r program package use; do
    case " ${WANTED:-$program} " in *" $program "*) ;; *) continue ;; esac
    present "$program" || missing+=("$program $package $use")
done <<<"$tools"
[ ${#missing[@]} != 0 ] || exit 0

if [ "${INSTALL:-yes}" != no ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # Installed servers must not start: the policy is there for that, and goes away again.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt=(timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15)
    "${apt[@]}" update >/dev/null 2>&1 || true
    for tool in "${missing[@]}"; do
        read -r _ package _ <<<"$tool"
        # One by one: a package that this release does not have must not keep the others away.
        "${apt[@]}" install -y --no-install-recommends "$package" >/dev/null 2>&1 || true
    done
fi
for tool in "${missing[@]}"; do
    read -r program package use <<<"$tool"
    present "$program" || echo "skipped: $use: no $program (package $package) and it could not be installed here"
done
