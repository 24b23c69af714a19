#!/usr/bin/env bash
# What Cargo calls instead of rustc for the workspace's own crates during `make test` (RUSTC_WORKSPACE_WRAPPER):
# lints each with clippy and checks each library's documentation with rustdoc, warnings denied, then compiles it.
#
# Tests, benches and examples are compiled with little or no optimisation, which halves the build: what integration tests
# exercise lies in libraries and executables, which are compiled as they ship. Unit tests get overflow checks and debug
# assertions by it. `make bench` does not come through here.
#
# `cargo clippy` and `cargo doc` do the same, but they cannot use compiled dependencies and type-check all of them once
# more: minutes on two cores. Here both read what the build has just made.
set -euo pipefail

QUICK=(-C lto=off -C debuginfo=0)

rustc=$1
shift
build=("$@")
crate='' type='' harness='' quick=()
both=() lint=() # arguments for clippy and rustdoc; those for clippy alone
while [ $# -gt 0 ]; do
    case $1 in
        --crate-name) crate=$2 both+=("$1" "$2") && shift ;;
        --crate-type) type=$2 both+=("$1" "$2") && shift ;;
        --test) harness=yes lint+=("$1") quick+=("${QUICK[@]}") ;;
        */tests/*.rs) both+=("$1") quick+=(-C opt-level=1) ;;
        */benches/*.rs | */examples/*.rs) both+=("$1") quick+=("${QUICK[@]}" -C opt-level=0) ;;
        # Neither generates code, and no file of the build may be touched.
        --emit=*) ;;
        --out-dir | -l) shift ;;
        -C)
            [[ $2 != metadata=* ]] || lint+=("$1" "$2")
            shift
            ;;
        # Artifacts are announced by the compiler alone: Cargo would take another's for its own.
        --json=*) both+=("--json=diagnostic-rendered-ansi") ;;
        *) both+=("$1") ;;
    esac
    shift
done

# Cargo's own questions to the compiler, and build scripts.
if [ -z "$crate" ] || [ "$crate" = ___ ] || [ "$crate" = build_script_build ]; then
    exec "$rustc" "${build[@]}"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "$type" = lib ] && [ -z "$harness" ]; then
    # Beside the compiler, so that crates that wait for this one need not wait for its documentation. Its code is linted
    # with its unit tests.
    rustdoc "${both[@]}" --out-dir "$scratch/doc" -D warnings 2>"$scratch/problems" &
    "$rustc" "${build[@]}"
    wait $! || {
        cat "$scratch/problems" >&2
        exit 1
    }
else
    clippy-driver "$rustc" "${both[@]}" "${lint[@]}" --emit=metadata --out-dir "$scratch" -D warnings
    # A library once more, with its unit tests.
    [[ $crate != auriga* ]] || [ -z "$harness" ] || quick+=(-C opt-level=0)
    "$rustc" "${build[@]}" "${quick[@]}"
fi
