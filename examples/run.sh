#!/usr/bin/env bash
# The demo of `make run`: the origin and rproxy in front of it, in the foreground until Ctrl-C.
#
# usage: examples/run.sh [DIRECTORY]    where the programs were built, target/release unless given
#
# However it ends, by Ctrl-C, by a signal or because one of the two ends, it ends and reaps both. The origin also
# watches this shell, should that be killed.
set -euo pipefail
cd "$(dirname "$0")/.."
built=${1:-${CARGO_TARGET_DIR:-target}/release}

pids=()
finish() {
    trap '' INT TERM HUP
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
}
trap finish EXIT
trap 'exit 0' INT
trap 'exit 143' TERM HUP

mkfifo "$built/.origin-ready.$$"
"$built/examples/mptcp-backend" --parent $$ >"$built/.origin-ready.$$" &
pids+=($!)
exec 3<"$built/.origin-ready.$$"
rm -f "$built/.origin-ready.$$"
read -r ready <&3 || exit 1 # it has said why on standard error
exec 3<&-
echo "$ready"

cat <<'HELP'

rproxy -f examples/mptcp.cfg: port 5000 in front, the origin on port 4331 behind. In another terminal:

    curl localhost:5000                  plain TCP to rproxy, MPTCP to the origin
    mptcpize run curl localhost:5000     MPTCP on both legs
    ss -MtOn 'sport = :5000 or sport = :4331'

Ctrl-C ends both.

HELP
"$built/rproxy" -db -f examples/mptcp.cfg &
pids+=($!)
wait -n
