#!/usr/bin/env bash
# ALSA on snd-aloop, which connects two sound devices: auriga-speech captures what aplay plays.
#   speech.sh [LEAST]     seconds to play before the node is suspended (40)
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

TEXT="There is fog on the road ahead. Please find a charging station on the way, and tell me when we arrive there."

drivers snd-aloop
wait_for 30 "the sound card exists" test -c /dev/snd/pcmC0D1c
espeak-ng -s 150 -w "$TMPDIR/text.wav" "$TEXT"
times=$(soxi -D "$TMPDIR/text.wav" | awk -v least="${1:-40}" '{ print int(least / $1) }')
sox --temp "$TMPDIR" "$TMPDIR/text.wav" -r 48000 -c 2 "$VEHICLE_OUT/played.wav" repeat "$times" pad 0.3
echo "playing $(soxi -D "$VEHICLE_OUT/played.wav") s"

# As in a car: with real-time priority, also for the thread of the sound card, and a buffer of half a second. An emulated
# processor may not run for longer than the two periods that cpal requests.
export ALSA_CONFIG_PATH=$PWD/calibration/asound.conf
start_node speech device=auriga_microphone:CARD=Loopback,DEV=1 consent_recording=true runtime.realtime_priority=10 \
    model=
wait_for 60 "the microphone is open" logged speech "microphone open"
grep -l alsa /proc/"${PIDS[speech]}"/task/*/comm | while read -r thread; do
    echo "thread $(cat "$thread"): $(chrt -p "$(basename "$(dirname "$thread")")" | sed -n 's/.*policy: //p')"
done
start_recorder speech record_private=true
aplay -q -D plughw:CARD=Loopback,DEV=0 "$VEHICLE_OUT/played.wav"
PLAYED=$(uptime_ns)
wait_for 60 "all of it is recorded" recorded "audio after $PLAYED" 10

echo "--- the node is suspended, the card is unplugged and plugged in"
suspended speech 4 true
wait_for 60 "the lost samples are reported" recorded "fault audio-overrun"
[ "$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")" -eq 1 ] || fail "a suspended node must not treat the card as lost"
plug() { echo snd_aloop.0 >"/sys/bus/platform/drivers/snd_aloop/$1"; }
plug unbind
wait_for 60 "the loss is reported" recorded "fault audio-device"
opened=$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")
plug bind
again() { [ "$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")" -gt "$opened" ]; }
wait_for 60 "the microphone is opened again" again
wait_for 60 "audio comes again" recorded "audio after $(uptime_ns)" 10
stop speech recorder
check speech "$RECORDING" "$VEHICLE_OUT/played.wav" "$VEHICLE_OUT/speech.suspended"
