"""Writes the scripts inside workflow files out, one file each, for shellcheck to read.

    workflow_scripts.py FOLDER WORKFLOW...      prints the names of what it wrote

It must never find nothing: a workflow without a script is a change of the form that this reads.
"""

import pathlib
import sys

import yaml

folder, written = pathlib.Path(sys.argv[1]), []
for name in sys.argv[2:]:
    with open(name, encoding="utf-8") as file:
        jobs = yaml.safe_load(file)["jobs"]
    for job, body in jobs.items():
        for number, step in enumerate(body["steps"]):
            if "run" not in step:
                continue
            if "${{" in step["run"]:
                # What comes from outside would become code: it goes through `env`.
                sys.exit(f"{name}: {job}, step {number}: an expression inside a script")
            path = folder / f"{pathlib.Path(name).stem}-{job}-{number}.sh"
            path.write_text("#!/usr/bin/env bash\nset -e\n" + step["run"])
            written.append(str(path))
if not written:
    sys.exit("no script in any workflow")
print("\n".join(written))
