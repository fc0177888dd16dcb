#!/usr/bin/env bash
# Everything that proves the product, for `make test`: tools, format, lints, documentation, all tests.
#
# Needs Rust alone. Tools that more tests can use are installed where that is allowed (Debian or Ubuntu, root,
# unless INSTALL=no); what is missing in the end is named, with the tests that it leaves out. The last line is
# `N passed, M failed`; the exit status is 0 when all steps went well.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
logs=$target/test-logs
mkdir -p "$logs"
failures=()
skipped=()
passed=0
failed=0
ignored=0

have() { command -v "$1" >/dev/null 2>&1; }
skip() { skipped+=("$1"); }

# step NAME COMMAND...: runs one part, shows how it went and how long it took.
step() {
    local name=$1 begun=$SECONDS
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    if "$@" 2>&1 | tee "$logs/$name.log"; then
        printf -- '-- %s: ok, %d s\n' "$name" $((SECONDS - begun))
    else
        printf -- '-- %s: FAILED, %d s\n' "$name" $((SECONDS - begun))
        failures+=("$name")
    fi
}

# count FILE: adds the numbers of cargo's `test result:` lines.
count() {
    local p f i
    read -r p f i < <(awk '
        /^test result: / { for (n = 2; n <= NF; n++) { if ($n == "passed;") p += $(n-1); if ($n == "failed;") f += $(n-1); if ($n == "ignored;") i += $(n-1) } }
        END { print p + 0, f + 0, i + 0 }' "$1")
    passed=$((passed + p)) failed=$((failed + f)) ignored=$((ignored + i))
}

# ---- tools ---------------------------------------------------------------------------------------

# program, Debian package, what needs it
tools='varnishtest varnish the vtc scripts of haproxy-compat/vtc
haproxy haproxy the same scripts with the real haproxy
ss iproute2 the look from outside at MPTCP connections
ip iproute2 the tests in network namespaces
curl curl the demo as a person tries it
mptcpize mptcpize the demo over MPTCP as a person tries it'

# A vtest, or the program that VTEST names, does for varnishtest.
present() {
    have "$1" || { [ "$1" = varnishtest ] && { [ -n "${VTEST:-}" ] || have vtest; }; }
}

missing_packages() {
    while read -r program package _; do
        present "$program" || printf '%s\n' "$package"
    done <<<"$tools" | sort -u
}

install_tools() {
    local missing reason
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    printf '\n== tools: %s\n' "$(echo $missing)"
    while read -r reason; do
        skip "installing $reason"
    done < <(bash haproxy-compat/install.sh $missing)
}

name_what_is_missing() {
    local program use
    while read -r program _ use; do
        present "$program" || skip "$use: no $program"
    done <<<"$tools"
    if [ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null || echo 0)" != 1 ]; then
        skip 'the MPTCP part of socket tests: this kernel has no MPTCP, or net.mptcp.enabled is 0'
    fi
    local probe=rpt$$
    if have ip && ip netns add "$probe" 2>/dev/null; then
        ip netns del "$probe"
    else
        skip 'the tests in network namespaces, upstream'"'"'s examples among them: not permitted here'
    fi
    if ! compgen -G '../shared/examples-upstream/*.cfg' >/dev/null &&
        ! compgen -G '/usr/share/doc/haproxy/examples/*.cfg*' >/dev/null; then
        skip 'upstream'"'"'s examples: neither in ../shared/examples-upstream nor in /usr/share/doc/haproxy/examples'
    fi
}

# ---- steps ---------------------------------------------------------------------------------------

install_tools
name_what_is_missing

if cargo fmt --version >/dev/null 2>&1; then
    step format cargo fmt --all -- --check
else
    skip 'the format check: no rustfmt (rustup component add rustfmt)'
fi
if cargo clippy --version >/dev/null 2>&1; then
    step lints cargo clippy --locked --workspace --all-targets -- -D warnings
else
    skip 'the lints: no clippy (rustup component add clippy)'
fi
RUSTDOCFLAGS='-D warnings' step docs cargo doc --locked --workspace --no-deps --document-private-items
step tests cargo test --locked --workspace --no-fail-fast
count "$logs/tests.log"

# ---- what came of it -----------------------------------------------------------------------------

echo
for reason in ${skipped[@]+"${skipped[@]}"}; do
    echo "skipped: $reason"
done
[ "$ignored" = 0 ] || echo "ignored: $ignored tests"
for name in ${failures[@]+"${failures[@]}"}; do
    echo "failed: $name (see $logs/$name.log)"
done
echo "time: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ ${#failures[@]} = 0 ] && [ "$failed" = 0 ]
