#!/usr/bin/env bash
# V4L2 on vivid, a driver with test images: frames, timestamps of the kernel, recovery after the camera was unplugged.
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

drivers vivid n_devs=1 node_types=0x1
wait_for 30 "there is a camera" test -c /dev/video0
# As real cameras do; the default of vivid is an end of exposure in the future.
v4l2-ctl -d /dev/video0 -c timestamp_source=1
# The camera lacks the default pixel format MJPG. Small images at a low rate: emulation is slow.
start_node camera device=/dev/video0 width=320 height=180 fps=10 max_age_ms=5000
start_recorder camera
wait_for 120 "frames come" recorded camera/front/image 50
suspended camera 1.5 true

plug() { echo vivid.0 >"/sys/bus/platform/drivers/vivid/$1"; }
wait_for 60 "frames come again" recorded "image after $(uptime_ns)" 30
plug unbind
wait_for 60 "the loss is reported" recorded "fault camera-lost"
[ ! -e /dev/video0 ] || fail "the camera still exists"
before=$(grep -c "camera open" "$VEHICLE_OUT/camera.log")
plug bind
again() { [ "$(grep -c "camera open" "$VEHICLE_OUT/camera.log")" -gt "$before" ]; }
wait_for 60 "the camera is opened again" again
now=$(uptime_ns)
wait_for 60 "frames come again" recorded "image after $now" 30
stop camera recorder
check camera "$RECORDING" "$VEHICLE_OUT/camera.suspended"
drivers -r vivid
