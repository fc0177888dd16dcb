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

packages=()
for tool in "${missing[@]}"; do
    read -r _ package _ <<<"$tool"
    packages+=("$package")
done
bash "$(dirname "$0")/../install.sh" "${packages[@]}" >/dev/null
for tool in "${missing[@]}"; do
    read -r program package use <<<"$tool"
    present "$program" || echo "skipped: $use: no $program (package $package) and it could not be installed here"
done
