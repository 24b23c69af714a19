#!/usr/bin/env bash
# Licences, sources and known vulnerabilities of the crates (deny.toml). cargo-deny is built once, without optimisation,
# into the cache. Where the database of advisories cannot be reached, that part is skipped and said to be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VERSION=0.20.2
root=${XDG_CACHE_HOME:-$HOME/.cache}/auriga/cargo-deny-$VERSION
unset RUSTC_WORKSPACE_WRAPPER
if [ ! -x "$root/bin/cargo-deny" ]; then
    echo "building cargo-deny $VERSION (once) …"
    cargo install --quiet --locked --debug --root "$root" --target-dir "$root/target" "cargo-deny@$VERSION"
    rm -rf "$root/target"
fi
"$root/bin/cargo-deny" --locked check --hide-inclusion-graph licenses bans sources
if ! "$root/bin/cargo-deny" --locked check advisories 2>"$root/advisories.log"; then
    if grep -qiE 'failed to (fetch|clone|open)|unable to (fetch|clone)' "$root/advisories.log"; then
        echo "advisories: skipped, their database cannot be fetched here"
        [ -z "${AURIGA_SKIPPED_FILE:-}" ] ||
            printf 'advisories\tthe database of advisories cannot be fetched\n' >>"$AURIGA_SKIPPED_FILE"
    else
        cat "$root/advisories.log" >&2
        exit 1
    fi
fi
