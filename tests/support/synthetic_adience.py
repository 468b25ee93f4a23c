"""Synthetic faces in Adience's layout with fold files, for tests of the cross-validation."""

import cv2

from agegender.datasets import adience
from agegender.inference.labels import AGE_ADIENCE
from agegender.synthetic_faces import draw

YEARS = (1, 5, 10, 17, 28, 40, 50, 70)


def make(folder, users=3, faces=4):
    """Write folder/aligned and folder/folds and return the Rows: five folds of `users` users with `faces` images each.

    Each user has one image twice in the fold file, and one without an age.
    """
    (folder / "folds").mkdir()
    rows = []
    for fold in range(adience.FOLDS):
        lines = ["\t".join(adience.COLUMNS)]
        for k in range(users):
            user_rows = [_row(fold, fold * users + k, i) for i in range(faces)]
            user_rows.append(user_rows[0])
            rows += user_rows
            lines += ["\t".join(map(str, (*row[1:6], *row.box, row.tilt, row.yaw, row.score))) for row in user_rows]
        (folder / "folds" / f"fold_{fold}_data.txt").write_text("\n".join(lines) + "\n")
    for row in dict.fromkeys(rows):
        path = folder / "aligned" / row.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        years = YEARS[AGE_ADIENCE.names.index(row.age)] if row.age in AGE_ADIENCE.names else 30
        cv2.imwrite(str(path), draw(years, row.gender == "m", (7, row.face)))
    return rows


def _row(fold, user, index):
    number = 10 * user + index
    age = "None" if index == 3 else AGE_ADIENCE.names[number % 8]
    gender = "mf"[number % 2]
    return adience.Row(fold, f"{user}@N00", f"{number}.jpg", number, age, gender, (1, 2, 3, 4), 0, 0, 50)
