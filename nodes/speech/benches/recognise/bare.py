"""The bare vosk-api: `python bare.py MODEL WAV SAMPLES` prints the processor time in s for recognising the file in pieces of
SAMPLES samples."""
import sys
import time
import wave

import vosk

vosk.SetLogLevel(-1)
model = vosk.Model(sys.argv[1])
step = int(sys.argv[3])
with wave.open(sys.argv[2]) as file:
    sound = file.readframes(file.getnframes())
recogniser = vosk.KaldiRecognizer(model, 16000)
recogniser.SetWords(True)
began = time.thread_time()
for at in range(0, len(sound), 2 * step):
    if recogniser.AcceptWaveform(sound[at : at + 2 * step]):
        recogniser.Result()
recogniser.FinalResult()
print(time.thread_time() - began)
