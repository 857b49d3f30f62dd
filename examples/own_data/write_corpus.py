"""Writes corpus.jsonl: 60 made-up conversations with text and audio features.

In place of random.gauss() put your own features, for instance rows of NumPy arrays: row.tolist().
"""

import json
import random

CLASSES = ["neutral", "joy", "anger"]
random.seed(1)


def features(emotion, width):
    """A vector that shows the emotion, under noise."""
    return [random.gauss(d % len(CLASSES) == emotion, 1.5) for d in range(width)]


with open("corpus.jsonl", "w", encoding="utf-8") as file:
    for i in range(60):
        emotion = random.randrange(len(CLASSES))
        utterances = []
        for turn in range(random.randint(4, 12)):
            if random.random() < 0.4:  # emotions last
                emotion = random.randrange(len(CLASSES))
            utterances.append({
                "speaker": ["Ann", "Bob"][turn % 2],
                "label": CLASSES[emotion],
                "text": f"Sentence {turn}.",
                "features": {"text": features(emotion, 16), "audio": features(emotion, 8)},
            })
        split = "train" if i < 40 else "valid" if i < 50 else "test"
        conversation = {"id": f"dialogue{i}", "split": split, "utterances": utterances}
        file.write(json.dumps(conversation) + "\n")
