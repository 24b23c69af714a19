#!/usr/bin/env bash
# Boots a virtual vehicle and runs a command inside: Debian's stock kernel in QEMU, this machine's file system as its
# root (read-only), and the real drivers of buses, microphones and cameras without hardware (vcan, snd-aloop, vivid).
# The output and the exit code of the command are those of this script.
#
#   sil-tests/virtual-vehicle/run.sh                     all checks of guest/checks.sh, on target/release
#   sil-tests/virtual-vehicle/run.sh COMMAND [WORD…]     any command, in the folder of the repository, as root
#
# Inside, $VEHICLE_OUT is the only persistent folder (out/virtual-vehicle here), $VEHICLE_BIN holds the executables, and
# $VEHICLE_MODULES is for modprobe -d. VEHICLE_TIMEOUT (1800) is in seconds.
# The kernel is cached in ${XDG_CACHE_HOME:-~/.cache}/auriga/virtual-vehicle; packages are installed when run as root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C PATH="$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

REPOSITORY=$PWD
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/auriga/virtual-vehicle"
OUT="$REPOSITORY/out/virtual-vehicle"
TIMEOUT="${VEHICLE_TIMEOUT:-1800}"
PACKAGES=(qemu-system-x86 busybox-static cpio kmod can-utils alsa-utils v4l-utils iproute2 espeak-ng sox)

die() {
    printf '\nthe virtual vehicle does not start: %s\nWhat to do: %s\n' "$1" "$2" >&2
    exit 1
}

# --- packages and kernel

packages() {
    command -v apt-get >/dev/null || die "this is no Debian" "run it on Debian, or boot such a kernel by hand (see README.md)."
    local package missing=()
    for package in "${PACKAGES[@]}"; do
        [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || die "Debian packages are missing: ${missing[*]}" \
        "as root:  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    echo "installing ${missing[*]}"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
        >"$CACHE/packages.log" 2>&1 || die "the packages do not install: $(tail -n 3 "$CACHE/packages.log")" "see $CACHE/packages.log."
}

# Downloads and unpacks the distribution's current kernel; the folder appears only when complete.
kernel() {
    RELEASE=$(find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' | sort -V | tail -n 1)
    [ -z "$RELEASE" ] || return 0
    local package work
    package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$package" ] || die "apt knows no linux-image-amd64" "as root:  apt-get update"
    RELEASE=${package#linux-image-}
    work=$(mktemp -d "$CACHE/.partial.XXXXXX")
    echo "downloading $package"
    (cd "$work" && apt-get download "$package") >"$CACHE/kernel.log" 2>&1 ||
        die "$package does not download: $(tail -n 3 "$CACHE/kernel.log")" "check the network and apt's sources; as root:  apt-get update"
    dpkg -x "$work/$package"_*.deb "$work/root"
    depmod -b "$work/root" "$RELEASE"
    initramfs "$work/root"
    chmod 755 "$work/root"
    mv -T "$work/root" "$CACHE/$RELEASE"
    rm -rf "$work"
}

# The first file system: busybox, and the modules that reach the host's, in the order of their dependencies.
initramfs() {
    local root=$1 tree="$1/initramfs" module
    mkdir -p "$tree"/{bin,dev,proc,sys,host,modules}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    modprobe -d "$root" -S "$RELEASE" --show-depends -a virtio_pci 9pnet_virtio 9p |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r module; do
            cp "$module" "$tree/modules/"
            case $module in *.xz) xz -d "$tree/modules/${module##*/}" ;; esac
            module=${module##*/}
            echo "${module%.xz}" >>"$tree/modules/order"
        done
}

# --- the run

# The checks run the built executables and test executables, whose paths only Cargo knows. Hard links, so that a build
# during the run does not replace them; in this folder they find .native as well.
built() {
    local node test
    for node in can camera speech language recorder arbiter; do
        [ -x "target/release/auriga-$node" ] || die "target/release/auriga-$node is not there" "make build"
        link "target/release/auriga-$node" "auriga-$node"
    done
    for crate in can arbiter; do
        link "$(test_suite "$crate")" "$crate-tests"
    done
}

link() { ln "$1" "$OUT/bin/$2" 2>/dev/null || cp "$1" "$OUT/bin/$2"; }

# Of the whole workspace, as in `make build`: for a single package, Cargo would rebuild its dependencies with other
# features.
test_suite() {
    cargo test --locked --release --workspace --test suite --no-run --message-format=json 2>"$OUT/cargo.log" |
        sed -n 's/.*#auriga-'"$1"'@.*"name":"suite".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1 | grep . ||
        die "the tests of $1 do not build: $(tail -n 5 "$OUT/cargo.log")" "see $OUT/cargo.log."
}

# The command for the guest, as a file: a kernel command line does not preserve its arguments.
write_command() {
    printf '#!/bin/bash\ncd %q || exit 1\n' "$REPOSITORY"
    printf 'export VEHICLE_OUT=/run/out VEHICLE_BIN=%q VEHICLE_MODULES=%q AURIGA_PYTHON=%q\n' \
        "$OUT/bin" "$CACHE/$RELEASE" "${AURIGA_PYTHON:-}"
    printf '%q ' "$@"
    echo
}

pack() {
    cp sil-tests/virtual-vehicle/guest/init "$CACHE/$RELEASE/initramfs/init"
    chmod 755 "$CACHE/$RELEASE/initramfs/init"
    (cd "$CACHE/$RELEASE/initramfs" && find . | cpio -o -H newc --quiet) >"$OUT/initrd"
}

# Emulated: slow, but the same on every machine. The second serial port carries only the output of the command.
boot() {
    nice -n 5 timeout --foreground "$TIMEOUT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 3G -smp 2 \
        -display none -monitor none -no-reboot -nodefaults \
        -serial "file:$OUT/kernel.log" -serial stdio \
        -kernel "$CACHE/$RELEASE/boot/vmlinuz-$RELEASE" -initrd "$OUT/initrd" \
        -append "console=ttyS0 quiet panic=-1" \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        -virtfs "local,path=$OUT,mount_tag=out,security_model=none,multidevs=remap" \
        </dev/null 2>"$OUT/qemu.log"
}

main() {
    [ "$(uname -sm)" = "Linux x86_64" ] || die "its kernel is for Linux on x86-64; this is $(uname -sm)" "run it on such a machine."
    mkdir -p "$CACHE" "$OUT"
    # One at a time: they share the output folder.
    exec 9>"$CACHE/.lock"
    flock -n 9 || die "another one is running" "wait until it ends."
    rm -rf "$CACHE"/.partial.*
    find "$OUT" -mindepth 1 -delete
    packages
    kernel
    AURIGA_PYTHON="${AURIGA_PYTHON:-$(ls "${CACHE%/*}/venv/bin/python" 2>/dev/null || true)}"
    mkdir "$OUT/bin"
    built
    [ $# -gt 0 ] || set -- sil-tests/virtual-vehicle/guest/checks.sh
    write_command "$@" >"$OUT/command"
    pack
    local status=0
    boot || status=$?
    [ "$status" -ne 124 ] || die "it ran longer than $TIMEOUT s" "set VEHICLE_TIMEOUT higher, or see $OUT."
    [ -s "$OUT/exit" ] || die "it stopped before its command did: $(tail -n 5 "$OUT/qemu.log" "$OUT/kernel.log" 2>/dev/null)" \
        "see $OUT."
    exit "$(cat "$OUT/exit")"
}

main "$@"
