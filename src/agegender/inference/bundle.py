"""What this application adds to bundles of `ncs bundle` (an entry point of the group `ncs.bundles`)."""

DIRECTORIES = ("agegender.inference",)
MODULES = ("agegender", "agegender.errors")
PROGRAMS = {"run_inference.py": "agegender.inference.bundle_main"}
README = ("python3 run_inference.py IMAGE [IMAGE ...]   predicts age and gender (--help lists all options)",)
