# shellcheck shell=bash
# Shared by the checks. Sourced by bash scripts that run inside the virtual vehicle.
set -euo pipefail
export NO_COLOR=1
HERE=$(dirname "${BASH_SOURCE[0]}")

declare -A PIDS=()

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# start NAME PROGRAM [WORD…] : starts it in the background, with its output in $VEHICLE_OUT/NAME.log.
start() {
    local name=$1
    shift
    "$@" >"$VEHICLE_OUT/$name.log" 2>&1 </dev/null &
    PIDS[$name]=$!
}

# start_node NODE [KEY=VALUE…] : starts a node and waits until it runs.
start_node() {
    local node=$1 pair words=()
    shift
    for pair in "$@"; do words+=(-p "$pair"); done
    start "$node" "$VEHICLE_BIN/auriga-$node" "${words[@]}"
    wait_for 120 "auriga-$node runs" logged "$node" running
}

# Starts a recorder and waits until it receives the node $1: later messages are not missed.
start_recorder() {
    local node=$1
    shift
    RECORDING="$VEHICLE_OUT/$node.mcap"
    start_node recorder "path=$RECORDING" overwrite=true sync=false "$@"
    wait_for 60 "the recorder receives $node" recorded "usage of $node"
}

# recorded WHAT [COUNT] : "WHAT" is a topic, "usage of NODE" or "fault CODE".
recorded() { "$AURIGA_PYTHON" "$HERE/recording.py" contains "$RECORDING" "$@" 2>/dev/null; }

logged() { grep -qF -- "$2" "$VEHICLE_OUT/$1.log"; }

# wait_for SECONDS WHAT COMMAND… : waits until the command succeeds. The guest is slow: allow many seconds.
wait_for() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || fail "timed out: $what"
        sleep 0.2
    done
}

# stop NAME… : sends SIGTERM and checks the exit codes.
stop() {
    local name status
    for name in "$@"; do
        kill -TERM "${PIDS[$name]}"
        status=0
        wait "${PIDS[$name]}" || status=$?
        unset "PIDS[$name]"
        [ "$status" -eq 0 ] || fail "$name ended with $status: $(tail -n 3 "$VEHICLE_OUT/$name.log")"
    done
}

# suspended NAME SECONDS COMMAND… : suspends the process (SIGSTOP) for that long while the command runs; the interval
# (CLOCK_MONOTONIC) is added to $VEHICLE_OUT/NAME.suspended. Stamps within it are from the kernel.
suspended() {
    local name=$1 seconds=$2 from to
    shift 2
    kill -STOP "${PIDS[$name]}"
    from=$(uptime_ns)
    "$@"
    sleep "$seconds"
    to=$(uptime_ns)
    kill -CONT "${PIDS[$name]}"
    echo "$from $to" >>"$VEHICLE_OUT/$name.suspended"
}

# /proc/uptime equals CLOCK_MONOTONIC on a machine that does not sleep.
uptime_ns() {
    local seconds _
    read -r seconds _ </proc/uptime # with two decimals
    echo "${seconds/./}0000000"
}

drivers() { modprobe -d "$VEHICLE_MODULES" "$@"; }

check() { "$AURIGA_PYTHON" "$HERE/recording.py" "$@" || fail "the check of the recording failed"; }

kill_rest() { [ ${#PIDS[@]} -eq 0 ] || kill -KILL "${PIDS[@]}" 2>/dev/null || true; }
trap kill_rest EXIT
