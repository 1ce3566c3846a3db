"""Proves that the unit tests of the alert rules can fail: turns each comparison of each alert around, one at a
time and in a copy, and expects promtool to notice.

    mutated_rules.py FOLDER [PER_FILE]      FOLDER: deploy/prometheus, with rules/ and tests/. PER_FILE: how many
                                            comparisons of each file; all, if it is not given

It must never change the folder itself.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TURNED = {">=": "<", ">": "<", "<": ">", "==": "!="}


def alerts(text):
    """Where each alert's expression begins and ends in a file of rules, with its name."""
    for match in re.finditer(r"- alert: (\w+)\n\s+expr: (.*?)\n\s+(?:for|keep_firing_for|labels):", text, re.S):
        yield match.group(1), match.start(2), match.end(2)


def mutants(text, start, end):
    """The text once for each comparison of this expression, with that one turned around."""
    for found in re.finditer(r"(?<= )(>=|==|>|<)(?= )", text[start:end]):
        at = start + found.start()
        yield text[:at] + TURNED[found.group()] + text[at + len(found.group()) :]
    if "absent(" in text[start:end]:
        # Without its function the alert is the opposite of itself.
        yield text[:start] + text[start:end].replace("absent(", "(") + text[end:]


def tests_fail(folder, alert):
    """Whether promtool finds fault with the files of tests that name this alert."""
    tests = [str(path) for path in (folder / "tests").glob("*.yml") if f"alertname: {alert}\n" in path.read_text()]
    ran = subprocess.run(["promtool", "test", "rules", *tests], capture_output=True, text=True)
    return ran.returncode != 0 and "FAILED" in ran.stdout + ran.stderr


source = pathlib.Path(sys.argv[1])
per_file = int(sys.argv[2]) if len(sys.argv) > 2 else None
survived, killed = [], 0
with tempfile.TemporaryDirectory() as temporary:
    copy = pathlib.Path(temporary) / "copy"
    shutil.copytree(source, copy)
    for rules in sorted((copy / "rules").glob("*.yml")):
        whole = rules.read_text()
        tried = []
        for name, start, end in alerts(whole):
            own = [(f"{name} ({number})", name, text) for number, text in enumerate(mutants(whole, start, end), 1)]
            if not own:
                sys.exit(f"{name}: nothing in it could be turned around")
            tried += own
        for label, name, changed in tried[:per_file]:
            rules.write_text(changed)
            if tests_fail(copy, name):
                killed += 1
            else:
                survived.append(label)
        rules.write_text(whole)
if survived or not killed:
    sys.exit(f"the tests do not notice when these are turned around: {', '.join(survived) or 'none was tried'}")
print(f"alert rules: {killed} comparisons turned around one at a time, each noticed")
