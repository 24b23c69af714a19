#!/usr/bin/env bash
# Runs the named checks, or all, one after the other, and prints the result of each.
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

[ -x "${AURIGA_PYTHON:-}" ] || fail "Python with the MCAP library is missing: make setup"
[ $# -gt 0 ] || set -- can camera speech talk cgroups
failed=()
for name in "$@"; do
    echo "=== $name"
    started=$SECONDS
    if "$HERE/$name.sh"; then
        echo "=== $name: passed ($((SECONDS - started)) s)"
    else
        echo "=== $name: FAILED ($((SECONDS - started)) s); logs and recording in out/virtual-vehicle"
        failed+=("$name")
    fi
done
[ ${#failed[@]} -eq 0 ] || fail "${failed[*]}"
echo "all passed"
