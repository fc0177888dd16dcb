#!/usr/bin/env bash
# Instructions per request: how many the program itself executes for one request over kept connections, without the
# kernel's. It runs under callgrind with N and with 2N requests; the difference divided by N leaves out all that is
# done once. Such a number hardly depends on what else the machine does, unlike any time.
#
# usage: instructions.sh PROGRAM RPROXY-BENCH
# PROGRAM reads HAProxy's configuration (configs/http.cfg); from the environment: COUNT (N, 2000), CONNS (4), TOP (25).
set -euo pipefail
program=$1 bench=$2
count=${COUNT:-2000} conns=${CONNS:-4} top=${TOP:-25}
here=$(cd "$(dirname "$0")" && pwd)

for tool in valgrind callgrind_annotate; do
    command -v "$tool" >/dev/null 2>&1 || { echo "make instructions needs $tool (package valgrind)" >&2; exit 2; }
done

work=$(mktemp -d)
pids=()
finish() {
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

# Below the range of outgoing connections, from a place that depends on the process.
free_port() {
    local port
    for ((port = 10000 + $$ * 7 % 20000 + ${1} * 13; ; port++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
front=$(free_port 1) one=$(free_port 2) two=$(free_port 3)

"$bench" role origin --listen "127.0.0.1:$one" --listen "127.0.0.1:$two" >"$work/origin" &
pids+=($!)

# measure NAME REQUESTS [OPTION...]: leaves $work/NAME.REQUESTS
measure() {
    local name=$1 requests=$2 proxy
    shift 2
    BENCH_FRONT=127.0.0.1:$front BENCH_ORIGIN1=127.0.0.1:$one BENCH_ORIGIN2=127.0.0.1:$two \
        valgrind --tool=callgrind --callgrind-out-file="$work/$name.$requests" --log-file="$work/valgrind.log" \
        "$program" -db -f "$here/configs/http.cfg" 2>"$work/messages" &
    proxy=$!
    pids+=("$proxy")
    local tries=0
    until (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null; do
        kill -0 "$proxy" 2>/dev/null && [ $((tries += 1)) -lt 300 ] ||
            { echo "$program does not start:" >&2; cat "$work/messages" "$work/valgrind.log" >&2; exit 1; }
        sleep 0.1
    done
    "$bench" role load --target "127.0.0.1:$front" --conns "$conns" --count "$requests" --seconds 600 "$@" >"$work/load"
    grep -q '^errors 0$' "$work/load" || { echo 'requests failed:' >&2; cat "$work/load" >&2; exit 1; }
    kill -TERM "$proxy"
    wait "$proxy" || true
}

# functions FILE: instructions, tab, place and name of each function
functions() {
    callgrind_annotate --threshold=100 --show-percs=no --auto=no "$1" |
        sed -nE 's/^ *([0-9,]+) +([^ ].*)$/\1\t\2/p' | grep -v 'PROGRAM TOTALS' | sed -E 's/ \[[^]]*\]$//; s,/rustc/[0-9a-f]+/,,; s,\t[^ ]*/registry/src/[^/]*/,\t,'
}

# top_of KEY: what KEY (fn or file) is told to cost more of in the second run than in the first, per request
top_of() {
    awk -F '\t' -v key="$1" -v n="$count" '
        { gsub(",", "", $1); at = index($2, ":"); name = key == "file" ? substr($2, 1, at - 1) : substr($2, at + 1)
          if (FILENAME == ARGV[1]) sum[name] -= $1; else sum[name] += $1 }
        END { for (name in sum) if (sum[name] >= n / 2) printf "%10.0f  %s\n", sum[name] / n, name }' \
        "$work/first" "$work/second" | sort -rn | awk -v top="$top" 'NR <= top'
}

total() { sed -nE 's/^(summary|totals): ([0-9]+).*/\2/p' "$1" | tail -n 1; }

"$program" -v | head -n 1
for name in GET POST; do
    options=(--path /tiny)
    [ "$name" = GET ] || options=(--path /up --upload 1000)
    measure "$name" "$count" "${options[@]}"
    measure "$name" $((2 * count)) "${options[@]}"
    first=$(total "$work/$name.$count") second=$(total "$work/$name.$((2 * count))")
    printf '\n%s: %d instructions per request (%d for %d, %d for %d requests, %d connections)\n' "$name" \
        $(((second - first) / count)) "$first" "$count" "$second" $((2 * count)) "$conns"
    functions "$work/$name.$count" >"$work/first"
    functions "$work/$name.$((2 * count))" >"$work/second"
    echo '  by function:'
    top_of fn
    echo '  by source file, inlined code where it comes from:'
    top_of file
done
