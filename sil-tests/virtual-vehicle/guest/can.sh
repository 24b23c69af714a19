#!/usr/bin/env bash
# SocketCAN on vcan: the tests of nodes/can, then auriga-can compared with candump.
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

vcan_up() {
    ip link add dev vcan0 type vcan
    ip link set vcan0 mtu 72 # CAN FD
    ip link set vcan0 up
}

drivers -a vcan can-raw
vcan_up
"$VEHICLE_BIN/can-tests" vcan --test-threads 1 --nocapture

echo "--- all frames, compared with candump"
start_node can interface=vcan0 filter=false
wait_for 30 "the bus is open" logged can "bus open"
start_recorder can
start candump candump -L vcan0,0:0,#FFFFFFFF
candump_receives() { cansend vcan0 7FF#00 && logged candump 7FF; }
wait_for 30 "candump receives frames" candump_receives
cangen vcan0 -m -g 2 -n 1000
suspended can 0.1 cangen vcan0 -g 5 -I 123 -n 20
cansend vcan0 0D0#1C20000000000000           # 72 km/h
cansend vcan0 20000004#0004000000000000      # error frame: receive errors reached the warning level
cansend vcan0 20000040#0000000000000000      # bus-off
cansend vcan0 20000100#0000000000000000      # restarted
cansend vcan0 7FE#01
wait_for 60 "the last frame is recorded" recorded "frame 7FE"
stop candump can recorder
check can "$RECORDING" "$VEHICLE_OUT/candump.log" "$VEHICLE_OUT/can.suspended"

echo "--- filtered, recovery of the interface"
start_node can interface=vcan0
wait_for 30 "the bus is open" logged can "bus open"
start_recorder can
known() { cangen vcan0 -g 10 -I 0D0 -L 8 -n 10; }
cangen vcan0 -g 2 -I 7A0 -L 8 -n 100
known
ip link set vcan0 down
wait_for 30 "the loss is reported" recorded "fault can-lost"
ip link set vcan0 up
back() { known && recorded "cleared can-lost" "$1"; }
wait_for 60 "frames come again" back 1
ip link del vcan0
wait_for 30 "the loss of the interface itself is reported" logged can "No such device"
vcan_up
wait_for 60 "frames come again" back 2
stop can recorder
check can-filtered "$RECORDING"
ip link del vcan0
