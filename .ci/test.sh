#!/usr/bin/env bash
# `make test`: format, build with lints and documentation (.ci/rustc.sh), tests, scenarios; then how long each took, how many
# tests ran, and which were skipped and why. With CI set also licences (`make deny`) and ARM (`make aarch64`), and a test
# that was skipped although CI can run it (no line of .ci/may-skip.txt allows it) is a failure.
# usage: test.sh [STEP…]   (default: all steps)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

flags=(--locked --release --workspace)
# Unit tests of libraries, and tests/, which bring the executables. Executables have no tests of their own: main.rs is a shell.
targets=(--lib --test '*')
export RUSTC_WORKSPACE_WRAPPER="$PWD/.ci/rustc.sh"
# A clean build gains nothing from the incremental cache and pays for it.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0
out=out/test
mkdir -p "$out"
# The recogniser that ships is a real model for the tests that want one.
export AURIGA_VOSK_MODEL=${AURIGA_VOSK_MODEL:-$PWD/models/speech/model}
log=$PWD/$out/tests.log
export AURIGA_SKIPPED_FILE=$PWD/$out/skipped.tsv
: >"$AURIGA_SKIPPED_FILE"
: >"$log"

fmt() { cargo fmt --all --check; }
# Examples and benches, too: tests start some of the examples.
build() { cargo build "${flags[@]}" --examples && cargo test "${flags[@]}" "${targets[@]}" --bench '*' --no-run; }
tests() { cargo test "${flags[@]}" "${targets[@]}" --no-fail-fast 2>&1 | tee "$log"; }
# Their executables lie outside the tree, where the relative search path of the others leads nowhere.
doctests() {
    LD_LIBRARY_PATH="$PWD/.native/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        cargo test "${flags[@]}" --no-fail-fast --doc 2>&1 | tee -a "$log"
}
# What a vehicle needs of the command line links none of the simulation's libraries.
slim() {
    ! cargo tree --locked -p auriga --no-default-features -e normal,build --prefix none |
        grep -E '^(opencv|tch|torch-sys|vosk|auriga-sil) '
}
scenarios() { target/release/auriga sil sil-tests/scenarios --out out/sil; }
deny() { .ci/deny.sh; }
aarch64() { .ci/aarch64.sh 2>&1 | tee -a "$log"; }

times=() failed=()
step() {
    local started=$SECONDS
    printf '\n=== %s\n' "$1"
    "$1" || failed+=("$1")
    times+=("$(printf '%6d s  %s' $((SECONDS - started)) "$1")")
}

# Without a build there is nothing to test.
steps=("$@")
[ $# -gt 0 ] || steps=(fmt slim build tests doctests scenarios ${CI:+deny aarch64})
for name in "${steps[@]}"; do
    step "$name"
    [ "$name" != build ] || [ ${#failed[@]} -eq 0 ] || break
done

# What the test runners said: "test result: ok. 12 passed; 0 failed; 1 ignored; …".
sum() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$log" | awk '{n += $1} END {print n + 0}'; }
# A test may report several things that it lacks; the runner counts it as passed. What is no test of the runner's has no `::`.
skipped_names=$(cut -f1 "$AURIGA_SKIPPED_FILE" | sort -u)
skipped=$(grep -c . <<<"$skipped_names" || true)
passed=$(($(sum passed) - $(grep -c '::' <<<"$skipped_names" || true)))

printf '\n=== where the time went\n'
printf '%s\n' "${times[@]}"
if [ "$skipped" -gt 0 ]; then
    printf '\n=== %d tests were skipped\n' "$skipped"
    sort -u "$AURIGA_SKIPPED_FILE" | cut -f2 | sort | uniq -c | sort -rn
    # shellcheck disable=SC2016
    not_allowed=$(grep -vEf <(sed -E '/^(#|$)/d' .ci/may-skip.txt) "$AURIGA_SKIPPED_FILE" || true)
    if [ -n "$not_allowed" ]; then
        printf '\nCI can run these; where it is CI, this is a failure (.ci/may-skip.txt):\n%s\n' "$not_allowed"
        [ -z "${CI:-}" ] || failed+=("skipped tests")
    fi
fi
[ ${#failed[@]} -eq 0 ] || printf '\nfailed: %s\n' "$(IFS=,; echo "${failed[*]}")"
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$(sum failed)" "$skipped"
[ ${#failed[@]} -eq 0 ]
