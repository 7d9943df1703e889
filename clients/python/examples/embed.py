"""Find which of five sentences is nearest to a question. Needs a server: corral serve

With the demo model the numbers are right but mean little; name a model made for it:
python embed.py hf:OWNER/REPO:QUANTIZATION
"""

import sys
from operator import mul

from corral import Client

QUESTION = "Where can I eat something?"
SENTENCES = [
    "The restaurant opens at noon.",
    "The train to Rome leaves at nine.",
    "A cat sleeps on the warm stones.",
    "Integers are closed under addition.",
    "It will rain in the afternoon.",
]

with Client() as client:
    source = sys.argv[1] if len(sys.argv) > 1 else "demo"
    client.models.load("embedder", source, capabilities=["embed"])
    question, *sentences = client.inference.embed([QUESTION, *SENTENCES], model="embedder").vectors
    client.models.unload("embedder")

# Vectors have length 1: the sum of products is the cosine of the angle between two.
likeness = [sum(map(mul, question, sentence)) for sentence in sentences]
for number, sentence in sorted(zip(likeness, SENTENCES, strict=True), reverse=True):
    print(f"{number:+.3f} {sentence}")
