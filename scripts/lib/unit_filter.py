"""Writes the system call filter of a systemd unit as a seccomp profile of Docker's form, so that confined.py
can run a program under it on a machine without systemd.

    unit_filter.py UNIT >PROFILE

Stands for SystemCallFilter= and RestrictNamespaces=. It must never allow what the unit does not.
"""

import json
import re
import subprocess
import sys

import pyseccomp

NAMESPACES = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
}


def calls(word):
    """The system calls that a word of SystemCallFilter= stands for."""
    if not word.startswith("@"):
        return {word}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    words = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return set().union(*(calls(word) for word in words if word and not word.startswith("#")))


def values(unit, key):
    """Every value of a key, in order."""
    return re.findall(rf"^{key}=(.*)$", unit, re.M)


with open(sys.argv[1], encoding="utf-8") as file:
    unit = file.read()
# The first line says that this is a list of what is allowed; later ones add to it or take away.
allowed = calls("@default")
for value in values(unit, "SystemCallFilter"):
    named = set().union(*(calls(word) for word in value.lstrip("~").split()))
    allowed = allowed - named if value.startswith("~") else allowed | named
permitted = values(unit, "RestrictNamespaces")[-1].split()
mask = sum(bit for name, bit in NAMESPACES.items() if name not in permitted)
by_flags = {"clone", "unshare"}
# setns and clone3 are answered as systemd answers them: the flags of clone3 lie where no filter sees them.
known = {name for name in allowed if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) != -1}
plain = sorted(known - by_flags - {"clone3", "setns"})
json.dump(
    {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "syscalls": [
            {"names": plain, "action": "SCMP_ACT_ALLOW"},
            {
                "names": sorted(by_flags),
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": mask, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
            },
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        ],
    },
    sys.stdout,
    indent=2,
)
