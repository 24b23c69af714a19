#!/usr/bin/env bash
# A dialogue through two sound cards (snd-aloop, one pair of devices each): a question is played into the microphone,
# auriga-language answers, and the loudspeaker plays the answer. The second answer is interrupted by speaking.
# shellcheck source=sil-tests/virtual-vehicle/guest/lib.sh
source "$(dirname "$0")/lib.sh"

QUESTION="hey auriga, tell me what you can do"
# Slow enough for an emulated machine to interrupt it.
WORDS_PER_MINUTE=80

drivers -r snd-aloop # loaded by another check with one card
drivers snd-aloop enable=1,1 index=0,1 id=Mic,Speaker
wait_for 30 "two sound cards exist" test -c /dev/snd/pcmC1D1c
# Plays a spoken text into the microphone.
speak() {
    espeak-ng -v en-us+f3 -s 150 -w "$TMPDIR/text.wav" "$1"
    sox "$TMPDIR/text.wav" -r 48000 -c 2 "$TMPDIR/padded.wav" pad 0.3 0.5
    aplay -q -D plughw:CARD=Mic,DEV=0 "$TMPDIR/padded.wav"
}

export ALSA_CONFIG_PATH=$PWD/calibration/asound.conf
# Dialogue needs a grant of the arbiter. On an emulated processor, milliseconds become seconds.
start_node arbiter
start_node language reply_max_pause_ms=120000
start_node speech device=auriga_microphone:CARD=Mic,DEV=1 speaker=plughw:CARD=Speaker,DEV=0 \
    tts_command="espeak-ng --stdin --stdout -v en-gb -s $WORDS_PER_MINUTE" playback_period_ms=100 runtime.realtime_priority=10
wait_for 60 "the microphone is open" logged speech "microphone open"
start_recorder speech record_private=true
wait_for 60 "the recorder receives language" recorded "usage of language"
start listener arecord -q -D plughw:CARD=Speaker,DEV=1 -f S16_LE -r 16000 -c 1 -t raw "$VEHICLE_OUT/spoken.raw"
spoken() { "$AURIGA_PYTHON" "$HERE/recording.py" spoken "$VEHICLE_OUT/spoken.raw" "$@" 2>/dev/null; }

speak "$QUESTION"
wait_for 90 "the answer is played to its end" spoken 1 ended
speak "$QUESTION"
wait_for 90 "the answer is played again" spoken 2
speak "stop that please"
wait_for 90 "it ends and is confirmed" spoken 3 ended
kill -INT "${PIDS[listener]}"
wait "${PIDS[listener]}" || true
unset "PIDS[listener]"
stop speech language arbiter recorder
check talk "$RECORDING" "$VEHICLE_OUT/spoken.raw" "$WORDS_PER_MINUTE"
