#!/usr/bin/env bash
# Lays the built workspace out as a ROS 2 package under PREFIX (below DESTDIR, for packagers):
#   lib/auriga/<node>          executables, as <node pkg="auriga" exec="<node>"> names them
#   lib/auriga/native/         libtorch and libvosk, found by the executables' rpath
#   bin/auriga                 the command line
#   share/auriga/              package.xml, launch/, calibration/, models/
#   lib/systemd/system/        auriga.service, which starts the vehicle's nodes
#   share/ament_index/…        what makes `ros2 run` and `ros2 launch` find it
#   setup.sh, setup.bash, setup.zsh
# usage: install.sh PREFIX
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

prefix=${1:?usage: install.sh PREFIX}
[[ $prefix = /* ]] || prefix=$PWD/$prefix
root=${DESTDIR:-}$prefix
lib=$root/lib/auriga
share=$root/share/auriga
index=$root/share/ament_index/resource_index

[ -x target/release/auriga ] || { echo "target/release/auriga is not there; make build first" >&2; exit 1; }
mkdir -p "$root" 2>/dev/null && [ -w "$root" ] || {
    echo "$root cannot be written; run as root (sudo make install PREFIX=$prefix) or choose another PREFIX" >&2
    exit 1
}

# Executables: every node's, under its plain name.
install -d "$lib/native" "$root/bin"
for node in nodes/*/src/main.rs; do
    node=${node#nodes/} node=${node%%/*}
    [ "$node" = auriga ] && continue
    install -m 755 "target/release/auriga-$node" "$lib/$node"
done
install -m 755 target/release/auriga "$lib/auriga"
# Names for backtraces stay, line numbers go: a tenth of the size.
strip --strip-debug "$lib"/* 2>/dev/null || true
ln -sfn ../lib/auriga/auriga "$root/bin/auriga"

# libtorch.so of the build is a linker script; nothing loads it.
for library in .native/lib/*.so*; do
    [ "$(head -c 4 "$library")" = $'\x7fELF' ] && install -m 644 "$library" "$lib/native/"
done

# Data. The share folder mirrors the repository, so both answer the same paths below $(find-pkg-share auriga).
copy() { (cd "$1" && find . -type f "${@:3}" -print0 | xargs -0 -r -I{} install -D -m 644 {} "$2/{}"); }
install -D -m 644 launch/package.xml "$share/package.xml"
install -D -m 644 LICENSE "$share/LICENSE"
copy launch "$share/launch" '(' -name '*.launch.xml' -o -name '*.toml' ')'
copy sil-tests "$share/sil-tests" -path './drive.yaml'
copy models/language "$share/models/language" -path './*.toml' -not -name Cargo.toml
copy calibration "$share/calibration"
[ ! -d models/language/checkpoint ] || copy models/language/checkpoint "$share/models/language/checkpoint"
[ ! -d models/language/intents-minilm ] || copy models/language/intents-minilm "$share/models/language/intents-minilm"
[ ! -e .native/minilm/model.safetensors ] || copy .native/minilm "$share/.native/minilm"
[ ! -d models/speech/model ] || copy models/speech/model "$share/models/speech/model"

# The service, with the paths of the prefix.
install -d "$root/lib/systemd/system"
sed "s|@PREFIX@|$prefix|g" launch/auriga.service >"$root/lib/systemd/system/auriga.service"

# The ament index, and the environment hooks `ros2` and colcon read.
install -d "$index/packages" "$index/package_run_dependencies" "$index/parent_prefix_path" "$share/environment"
: >"$index/packages/auriga"
sed -n 's:.*<exec_depend>\(.*\)</exec_depend>.*:\1:p' launch/package.xml | paste -sd ';' >"$index/package_run_dependencies/auriga"
printf '%s' "${AMENT_PREFIX_PATH:-}" >"$index/parent_prefix_path/auriga"
printf 'prepend-non-duplicate;AMENT_PREFIX_PATH;\n' >"$share/environment/ament_prefix_path.dsv"
printf 'prepend-non-duplicate-if-exists;PATH;bin\n' >"$share/environment/path.dsv"
printf 'source;share/auriga/environment/ament_prefix_path.dsv\nsource;share/auriga/environment/path.dsv\n' >"$share/local_setup.dsv"

# $1: the shell's own words for "the folder of this file".
environment() {
    cat <<SETUP
# Sourced: makes auriga known to this shell and to ros2.
AURIGA_PREFIX=$1
case ":\${AMENT_PREFIX_PATH-}:" in *":\$AURIGA_PREFIX:"*) ;; *)
    export AMENT_PREFIX_PATH="\$AURIGA_PREFIX\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}" ;;
esac
case ":\$PATH:" in *":\$AURIGA_PREFIX/bin:"*) ;; *) export PATH="\$AURIGA_PREFIX/bin:\$PATH" ;; esac
unset AURIGA_PREFIX
SETUP
}
for name in setup local_setup; do
    environment "'$prefix'" >"$root/$name.sh"
    # shellcheck disable=SC2016
    environment '$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)' >"$root/$name.bash"
    # shellcheck disable=SC2016
    environment '${0:A:h}' >"$root/$name.zsh"
done

echo "installed in $root ($(du -sm "$root" | cut -f1) MB); to use it: source $prefix/setup.bash"
