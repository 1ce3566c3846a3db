"""Proves that the unit tests of the alert rules can fail: turns one comparison of each alert around, in a
copy, and expects promtool to notice.

    mutated_rules.py FOLDER      FOLDER: deploy/prometheus, with rules/ and tests/

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


def mutated(text, start, end):
    """The text with the first comparison of this expression turned around, or None if it has none."""
    found = re.search(r"(?<= )(>=|==|>|<)(?= )", text[start:end])
    if found is None:
        return None
    at = start + found.start()
    return text[:at] + TURNED[found.group()] + text[at + len(found.group()) :]


def tests_fail(folder, name):
    """Whether promtool finds fault with the tests that load this file of rules."""
    tests = [str(path) for path in (folder / "tests").glob("*.yml") if f"rules/{name}\n" in path.read_text()]
    ran = subprocess.run(["promtool", "test", "rules", *tests], capture_output=True, text=True)
    return ran.returncode != 0 and "FAILED" in ran.stdout + ran.stderr


source = pathlib.Path(sys.argv[1])
survived, killed = [], 0
with tempfile.TemporaryDirectory() as temporary:
    copy = pathlib.Path(temporary) / "copy"
    shutil.copytree(source, copy)
    for rules in sorted((copy / "rules").glob("*.yml")):
        whole = rules.read_text()
        for name, start, end in alerts(whole):
            changed = mutated(whole, start, end)
            if changed is None:
                # absent(): without its function the alert is the opposite of itself.
                changed = whole[:start] + whole[start:end].replace("absent(", "(") + whole[end:]
            if changed == whole:
                sys.exit(f"{name}: nothing in it could be turned around")
            rules.write_text(changed)
            if tests_fail(copy, rules.name):
                killed += 1
            else:
                survived.append(name)
        rules.write_text(whole)
if survived or not killed:
    sys.exit(f"the tests do not notice when these are turned around: {', '.join(survived) or 'none was tried'}")
print(f"alert rules: {killed} turned around one at a time, each noticed")
