"""Writes talk of nobody, for docs/raw.md: train.csv, valid.csv and test.csv with the columns of MELD, new.csv without
labels, and with --speak, by espeak-ng, a sound file for every second utterance: sound/SPLIT/diaD_uttU.wav.
"""
import csv
import os
import random
import subprocess
import sys

PHRASES = {
    "joy": ["I am so happy for you", "This is wonderful news", "I love this place", "We won, we really won",
            "What a lovely day", "That is the best thing I have heard", "You made my day"],
    "anger": ["How dare you say that", "I am sick of your lies", "Get out of my house", "You ruined everything",
              "Stop shouting at me", "That is completely unfair", "I hate it when you do this"],
    "neutral": ["The meeting is at ten", "I put the keys on the table", "He works in an office", "It is two miles away",
                "We could take the bus", "The shop closes at six", "I will call you later"],
}
VOICES = {"joy": ["-p", "80", "-s", "190"], "anger": ["-p", "30", "-s", "220"], "neutral": ["-p", "50", "-s", "150"]}
SPLITS = {"train": 30, "valid": 10, "test": 10, "new": 2}
random.seed(1)


def speak(path, text, emotion):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["espeak-ng", *VOICES[emotion], "-w", path, text], check=True)


for split, dialogues in SPLITS.items():
    with open(split + ".csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        columns = ["Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"]
        table.writerow([name for name in columns if split != "new" or name != "Emotion"])
        for dialogue in range(dialogues):
            emotion = random.choice(list(PHRASES))
            for turn in range(random.randint(3, 5)):
                if random.random() < 0.4:  # emotions last
                    emotion = random.choice(list(PHRASES))
                text = random.choice(PHRASES[emotion]) + random.choice([".", "!", ", you know.", ", my friend."])
                row = [text, ["Ann", "Bob"][turn % 2], emotion, dialogue, turn]
                table.writerow(row if split != "new" else row[:2] + row[3:])
                if "--speak" in sys.argv and turn % 2 == 0:
                    speak(f"sound/{split}/dia{dialogue}_utt{turn}.wav", text, emotion)
