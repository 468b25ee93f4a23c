"""What this application adds to bundles of `ncs bundle` (an entry point of the group `ncs.bundles`)."""

DIRECTORIES = ("agegender.inference",)
MODULES = ("agegender", "agegender.errors")
PROGRAMS = {"run_inference.py": "agegender.inference.bundle_main"}
OAK_PROGRAMS = {"oak_camera.py": "agegender.inference.oak_main"}
OAK_README = (
    "python3 oak_camera.py                    predicts the faces that an OAK camera sees (--help lists all options)",
    "python3 run_inference.py --device OAK IMAGE   predicts images of the host on an OAK camera",
)
README = ("python3 run_inference.py IMAGE [IMAGE ...]   predicts age and gender (--help lists all options)",)
