#!/usr/bin/env bash
# Automotive computers are ARM: checks that the crates that need no foreign library compile for aarch64, and runs the tests
# of the matrix kernels there, under qemu-user. Nothing is installed: what the system lacks (a cross compiler for the C
# code of some crates, qemu, Rust's standard library) is fetched by apt and rustup; apt's packages are unpacked into
# ${XDG_CACHE_HOME:-~/.cache}/auriga/aarch64 (no root needed). Where that is impossible, one line says "test skipped".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C PATH="$HOME/.cargo/bin:$PATH"
# Lints are for the ordinary build.
unset RUSTC_WORKSPACE_WRAPPER

TARGET=aarch64-unknown-linux-gnu
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/auriga/aarch64"
ROOT="$CACHE/root"
LOG="$CACHE/log"
export CARGO_TARGET_DIR="$PWD/target/aarch64"
# `make test` lints with it, with tools of the toolchain that is not always the one used here.
unset RUSTC_WORKSPACE_WRAPPER

CRATES=(auriga-msgs auriga-runtime auriga-kernels auriga-can auriga-fusion auriga-arbiter auriga-monitor auriga-ros-bridge)
# Left out, because they link to libraries of the target system:
#   auriga-camera, -hud, -perception, -recorder, -sil, auriga: OpenCV
#   auriga-lm, -language: libtorch
#   auriga-speech: libvosk and ALSA

COMPILER=(gcc-12-aarch64-linux-gnu cpp-12-aarch64-linux-gnu binutils-aarch64-linux-gnu libgcc-12-dev-arm64-cross
    libgcc-s1-arm64-cross libc6-arm64-cross libc6-dev-arm64-cross linux-libc-dev-arm64-cross)
EMULATOR=(qemu-user libcapstone4)
# Debian's stable releases get the Rust that current browsers need, for arm64 as well.
RUST=(rustc-web libstd-rust-web-dev libstd-rust-web-1.96 libllvm22 libstd-rust-web-dev:arm64)

skip() {
    echo "test skipped: aarch64: $* (log: $LOG)"
    [ -z "${AURIGA_SKIPPED_FILE:-}" ] || printf 'aarch64\t%s\n' "$*" >>"$AURIGA_SKIPPED_FILE"
    exit 0
}

# apt with lists of its own, which have arm64 beside the architecture of the system.
own_apt() {
    apt-get -q -o Dir::State="$CACHE/apt" -o Dir::State::status="$CACHE/apt/status" -o Dir::Cache="$CACHE/apt" \
        -o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::=arm64 -o APT::Sandbox::User= "$@"
}

# fetch PACKAGE… : unpacks those that are not in $ROOT yet. A list that is older than a day may name files that are gone.
fetch() {
    local package wanted=()
    for package in "$@"; do
        [ -e "$ROOT/.have/$package" ] || wanted+=("$package")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    command -v apt-get dpkg-deb || return 1
    rm -rf "$CACHE/debs"
    mkdir -p "$CACHE/apt/lists/partial" "$CACHE/apt/archives/partial" "$CACHE/debs" "$ROOT/.have" || return 1
    touch "$CACHE/apt/status"
    [ -n "$(find "$CACHE/apt/lists" -name '*Packages*' -mmin -1440 -print -quit)" ] || own_apt update || return 1
    (cd "$CACHE/debs" && own_apt download "${wanted[@]}") || return 1
    for package in "$CACHE"/debs/*.deb; do dpkg-deb -x "$package" "$ROOT" || return 1; done
    rm -rf "$CACHE/debs"
    for package in "${wanted[@]}"; do touch "$ROOT/.have/$package"; done
}

# wrapper NAME COMMAND… : an executable of that name that runs the command with the unpacked libraries.
wrapper() {
    local name=$1
    shift
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec %s "$@"\n' "$ROOT/usr/lib/$(uname -m)-linux-gnu" "$*" >"$CACHE/$name"
    chmod +x "$CACHE/$name"
}

compiler() {
    if command -v aarch64-linux-gnu-gcc >/dev/null; then
        CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar SYSROOT=/usr/aarch64-linux-gnu
        return
    fi
    fetch "${COMPILER[@]}" >>"$LOG" 2>&1 || return 1
    wrapper cc "'$ROOT/usr/bin/aarch64-linux-gnu-gcc-12' '--sysroot=$ROOT'"
    wrapper ar "'$ROOT/usr/bin/aarch64-linux-gnu-ar'"
    CC="$CACHE/cc" AR="$CACHE/ar" SYSROOT="$ROOT/usr/aarch64-linux-gnu"
}

emulator() {
    if command -v qemu-aarch64 >/dev/null; then
        RUNNER="qemu-aarch64 -L $SYSROOT"
        return
    fi
    fetch "${EMULATOR[@]}" >>"$LOG" 2>&1 || return 1
    wrapper qemu "'$ROOT/usr/bin/qemu-aarch64' -U LD_LIBRARY_PATH -L '$SYSROOT'"
    RUNNER="$CACHE/qemu"
}

# The standard library for the toolchain in use, else Debian's compiler with its own.
rust() {
    local std
    std="$(rustc --print sysroot)/lib/rustlib/$TARGET/lib"
    if ls "$std"/libstd-*.rlib >/dev/null 2>&1 ||
        { command -v rustup && timeout 120 rustup target add "$TARGET"; } >>"$LOG" 2>&1; then
        return
    fi
    fetch "${RUST[@]}" >>"$LOG" 2>&1 || return 1
    wrapper rustc "'$ROOT/usr/bin/rustc'"
    export RUSTC="$CACHE/rustc"
}

# On an ARM machine the ordinary tests are these tests.
[ "$(uname -m)" != aarch64 ] || { echo "aarch64: this is one; the ordinary tests cover it"; exit 0; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "there is no cross compiler for $(uname -sm) here"
mkdir -p "$CACHE"
: >"$LOG"
exec 9>"$CACHE/.lock"
flock 9
compiler || skip "the cross compiler cannot be fetched"
emulator || skip "qemu-user cannot be fetched"
rust || skip "neither rustup nor Debian has Rust's standard library for $TARGET"
flock -u 9

export CC_aarch64_unknown_linux_gnu="$CC" AR_aarch64_unknown_linux_gnu="$AR"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="$CC" CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$RUNNER"
packages=()
for crate in "${CRATES[@]}"; do packages+=(-p "$crate"); done
echo "aarch64: ${RUSTC:-rustc} $("${RUSTC:-rustc}" --version | cut -d' ' -f2), checks ${CRATES[*]}"
cargo check --locked --quiet --target "$TARGET" "${packages[@]}"
echo "aarch64: tests of auriga-kernels under $("${RUNNER%% *}" --version | head -n 1)"
cargo test --locked --quiet --release --target "$TARGET" -p auriga-kernels --lib --tests
