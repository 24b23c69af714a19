#!/usr/bin/env bash
# Control groups v2: the tests of the actuation of the arbiter, then the arbiter itself with nodes.
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

"$VEHICLE_BIN/arbiter-tests" actuation --test-threads 1 --nocapture

group_of() { sed -n 's/^0:://p' "/proc/${PIDS[$1]}/cgroup"; }
in_group() { [ "$(group_of "$1")" = "$2" ]; }
# "SCHED_FIFO", "SCHED_OTHER" and so on, without flags.
policy() { chrt -p "${PIDS[$1]}" | sed -n 's/.*policy: \([A-Z_]*\).*/\1/p'; }
has_policy() { [ "$(policy "$1")" = "$2" ]; }

start_node recorder "path=$VEHICLE_OUT/cgroups.mcap" overwrite=true sync=false
start_node can
outside=$(group_of can)
start_node arbiter actuation.realtime=true
wait_for 60 "auriga-can is in a group of its own" in_group can /auriga/can
wait_for 60 "auriga-recorder is in a group of its own" in_group recorder /auriga/recorder
wait_for 60 "the safety node has its priority" has_policy can SCHED_FIFO
echo "can: $(group_of can), weight $(cat "/sys/fs/cgroup$(group_of can)/cpu.weight"), $(policy can)"
echo "recorder: $(group_of recorder), weight $(cat "/sys/fs/cgroup$(group_of recorder)/cpu.weight"), $(policy recorder)"

echo "--- the arbiter is killed and starts again"
kill -KILL "${PIDS[arbiter]}"
wait "${PIDS[arbiter]}" || true
start_node arbiter actuation.realtime=true
wait_for 60 "auriga-can is in its group" in_group can /auriga/can
stop arbiter
in_group can "$outside" || fail "auriga-can remains in $(group_of can)"
[ ! -e /sys/fs/cgroup/auriga ] || fail "the group was not removed"
has_policy can SCHED_OTHER || fail "auriga-can keeps $(policy can)"
stop can recorder
