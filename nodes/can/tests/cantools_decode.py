"""Decodes frames with cantools: the peer that the tests and the bench hold the decoder against.

usage: cantools_decode.py DATABASE < frames > values
       cantools_decode.py --time SECONDS DATABASE < frames > count and seconds

Each input line is `ID extended(0|1) DATA`, in hexadecimal; each output line the signals as `NAME=BITS` with the bits of
the value as a double, or `refused` where cantools refuses the frame (its length, or a multiplexer's value that selects
nothing).
"""

import re
import struct
import sys
import time

import cantools


def load(path):
    text = open(path, encoding="cp1252").read()
    # cantools stops at comments of signals that name no signal; they say nothing of the layout.
    text = re.sub(r'^CM_ SG_ \d+ ".*";$', "", text, flags=re.MULTILINE)
    return cantools.database.load_string(text, "dbc", strict=False)


def main():
    arguments = sys.argv[1:]
    seconds = None
    if arguments[0] == "--time":
        seconds = float(arguments[1])
        arguments = arguments[2:]
    database = load(arguments[0])
    messages = {(m.frame_id, m.is_extended_frame): m for m in database.messages}
    frames = []
    for line in sys.stdin:
        identifier, extended, *data = line.split()
        message = messages[(int(identifier, 16), extended == "1")]
        frames.append((message, bytes.fromhex(data[0] if data else "")))
    if seconds is not None:
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for message, data in frames:
                message.decode(data, decode_choices=False)
            count += len(frames)
        print(count, time.perf_counter() - start)
        return
    for message, data in frames:
        try:
            values = message.decode(data, decode_choices=False)
        except Exception:
            print("refused")
            continue
        print(" ".join(f"{name}={struct.pack('>d', value).hex()}" for name, value in values.items()))


main()
