"""Runs a command under a seccomp profile of Docker's form, as the container would, without an engine.

    confined.py PROFILE COMMAND [ARGUMENT...]

The profile is compiled by libseccomp (through pyseccomp). no_new_privs must be set already, as setpriv
sets it: a filter that can be got rid of proves nothing. It must never fall back to running unconfined.
"""

import json
import os
import sys

import pyseccomp

COMPARISONS = {
    "SCMP_CMP_EQ": lambda rule: (pyseccomp.EQ, rule["value"]),
    "SCMP_CMP_MASKED_EQ": lambda rule: (pyseccomp.MASKED_EQ, rule["value"], rule["valueTwo"]),
}


def action(name, errno):
    return {"SCMP_ACT_ALLOW": pyseccomp.ALLOW, "SCMP_ACT_ERRNO": pyseccomp.ERRNO(errno)}[name]


def compiled(profile):
    rules = pyseccomp.SyscallFilter(action(profile["defaultAction"], profile.get("defaultErrnoRet", 1)))
    for rule in profile["syscalls"]:
        arguments = [
            pyseccomp.Arg(argument["index"], *COMPARISONS[argument["op"]](argument))
            for argument in rule.get("args", [])
        ]
        for name in rule["names"]:
            try:
                rules.add_rule(action(rule["action"], rule.get("errnoRet", 1)), name, *arguments)
            except OSError as error:
                sys.exit(f"{name}: {error}")
    return rules


with open(sys.argv[1], encoding="utf-8") as file:
    filter_ = compiled(json.load(file))
if "NoNewPrivs:\t1" not in open("/proc/self/status", encoding="utf-8").read():
    sys.exit("no_new_privs is not set")
filter_.load()
os.execvp(sys.argv[2], sys.argv[2:])
