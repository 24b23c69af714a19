"""Bare vosk-api: python bare.py MODEL WAV SAMPLES prints the seconds that recognising the file took, handed over in pieces
of so many samples."""
import sys
import time
import wave

import vosk

vosk.SetLogLevel(-1)
model = vosk.Model(sys.argv[1])
step = int(sys.argv[3])
with wave.open(sys.argv[2]) as file:
    sound = file.readframes(file.getnframes())
best = None
for _ in range(3):
    recogniser = vosk.KaldiRecognizer(model, 16000)
    recogniser.SetWords(True)
    began = time.perf_counter()
    for at in range(0, len(sound), 2 * step):
        if recogniser.AcceptWaveform(sound[at : at + 2 * step]):
            recogniser.Result()
    recogniser.FinalResult()
    took = time.perf_counter() - began
    best = took if best is None else min(best, took)
print(best)
