#!/usr/bin/env bash
# ALSA on snd-aloop, a cable from one sound device to the other: what aplay plays into it, auriga-speech hears.
#   speech.sh [LEAST]     how many seconds are played before the node is disturbed (40)
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

SAID="There is fog on the road ahead. Please find a charging station on the way, and tell me when we arrive there."

drivers snd-aloop
wait_for 30 "there is a sound card" test -c /dev/snd/pcmC0D1c
espeak-ng -s 150 -w "$TMPDIR/said.wav" "$SAID"
times=$(soxi -D "$TMPDIR/said.wav" | awk -v least="${1:-40}" '{ print int(least / $1) }')
sox --temp "$TMPDIR" "$TMPDIR/said.wav" -r 48000 -c 2 "$VEHICLE_OUT/played.wav" repeat "$times" pad 0.3
echo "playing $(soxi -D "$VEHICLE_OUT/played.wav") s"

# As in a car: ahead of what the machine does besides, the sound card's own thread included, and with a card that keeps
# half a second. An emulated processor is taken away for longer than the two periods that cpal alone asks for.
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

echo "--- the node stands still, the card is unplugged and comes back"
asleep speech 4 true
wait_for 60 "the lost samples are told" recorded "fault audio-overrun"
[ "$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")" -eq 1 ] || fail "a node that stood still takes the card for lost"
plug() { echo snd_aloop.0 >"/sys/bus/platform/drivers/snd_aloop/$1"; }
plug unbind
wait_for 60 "the loss is told" recorded "fault audio-device"
opened=$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")
plug bind
again() { [ "$(grep -c "microphone open" "$VEHICLE_OUT/speech.log")" -gt "$opened" ]; }
wait_for 60 "the microphone is opened again" again
wait_for 60 "audio comes again" recorded "audio after $(uptime_ns)" 10
stop speech recorder
check speech "$RECORDING" "$VEHICLE_OUT/played.wav" "$VEHICLE_OUT/speech.asleep"
