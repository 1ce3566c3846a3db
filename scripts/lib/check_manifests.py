"""Checks rendered Kubernetes manifests for what every pod of chatferry must keep, however they were made.

    check_manifests.py NAME MANIFESTS

A schema says whether a manifest is well formed; this says whether it is confined, drains, and holds no
secret. It must fail when it finds nothing to check.
"""

import re
import sys

import yaml

COMPONENT = "app.kubernetes.io/component"
ROLES = {"collect", "archive", "analyze", "mirror"}
SECRET = re.compile(r"PASSW|SECRET|TOKEN|KEY|_URL|_URI")

breaches = []


def must(holds, where, what):
    if not holds:
        breaches.append(f"{where}: {what}")


def seconds(text):
    return int(text.removesuffix("s"))


def selects(selector, labels):
    wanted = selector.get("matchLabels", {}) if selector else {}
    return all(labels.get(key) == value for key, value in wanted.items())


def check_container(where, container):
    context = container.get("securityContext", {})
    must(context.get("allowPrivilegeEscalation") is False, where, "may gain rights")
    must(context.get("readOnlyRootFilesystem") is True, where, "may write to its root")
    must(context.get("capabilities", {}).get("drop") == ["ALL"], where, "keeps capabilities")
    must("add" not in context.get("capabilities", {}), where, "is given capabilities")
    for kind in ("requests", "limits"):
        resources = container.get("resources", {}).get(kind, {})
        must({"cpu", "memory"} <= resources.keys(), where, f"has no {kind}")
    image = container.get("image", "")
    must(":" in image and not image.endswith(":latest"), where, f"its image has no version: {image}")
    for variable in container.get("env", []):
        must(not SECRET.search(variable["name"]), where, f"{variable['name']} in the environment")


def check_pod(where, kind, template, settings):
    labels, pod = template["metadata"]["labels"], template["spec"]
    role = labels[COMPONENT]
    must(pod.get("automountServiceAccountToken") is False, where, "gets a token of the cluster")
    must(pod.get("serviceAccountName"), where, "runs as the default service account")
    must(pod.get("enableServiceLinks") is False, where, "Services become CHATFERRY_ variables")
    must(not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), where, "uses the host's")
    must(not any("hostPath" in volume for volume in pod["volumes"]), where, "mounts a folder of the host")
    context = pod.get("securityContext", {})
    must(context.get("runAsNonRoot") is True, where, "may run as root")
    must(context.get("runAsUser") == 10001, where, "runs as another user than the image's")
    must(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "has no seccomp profile")
    must(pod.get("topologySpreadConstraints"), where, "may lie on one node with its likes")
    for spread in pod.get("topologySpreadConstraints", []):
        must(selects(spread["labelSelector"], labels), where, "spreads from others than itself")
    containers = {container["name"]: container for container in pod["containers"]}
    for container in pod["containers"] + pod.get("initContainers", []):
        check_container(f"{where}/{container['name']}", container)
    main = containers["chatferry"]
    for probe, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        command = main.get(probe, {}).get("exec", {}).get("command")
        must(command == ["chatferry-healthcheck", path], where, f"{probe} asks {command}")
    must(main["args"] == ["run", "--role", f"{role},web"], where, f"does {main['args']}")
    # What it is told, from every map of settings that it names.
    told = {}
    for source in main.get("envFrom", []):
        name = source["configMapRef"]["name"]
        optional = source["configMapRef"].get("optional", False)
        must(name in settings or optional, where, f"no settings named {name}")
        told |= settings.get(name) or {}
    drain = seconds(told.get("CHATFERRY_DRAIN_TIMEOUT", "0s"))
    must(pod["terminationGracePeriodSeconds"] >= drain + 10 > 10, where, "is killed before it has drained")
    must(told.get("CHATFERRY_METRICS_ADDR", "").endswith(":8788"), where, "serves no metrics")
    # A chat site's password is the collector's alone.
    site = any(name.endswith("_PASSWORD_FILE") for name in told)
    must(site == (role == "collect"), where, "has the site's password, or lacks it")
    mounted = {mount["mountPath"]: mount["name"] for mount in main["volumeMounts"]}
    provided = {volume["name"] for volume in pod["volumes"]} | ({"data"} if kind == "StatefulSet" else set())
    must(set(mounted.values()) <= provided, where, f"mounts what is not there: {mounted}")
    must({"/tmp", "/var/lib/chatferry", "/run/chatferry"} <= mounted.keys(), where, "lacks a folder to write to")
    if role == "collect":
        profile = main["securityContext"].get("seccompProfile", {})
        must(profile.get("type") == "Localhost", where, "Chromium has no sandbox under this profile")
        must("/dev/shm" in mounted, where, "Chromium has no shared memory")


def check(documents):
    of_kind = lambda kind: [document for document in documents if document["kind"] == kind]
    settings = {document["metadata"]["name"]: document["data"] for document in of_kind("ConfigMap")}
    for name, data in settings.items():
        for key, value in (data or {}).items():
            named = key.endswith("_FILE") and value.startswith("/run/chatferry/")
            must(not SECRET.search(key) or named, name, f"{key} holds a secret")
            must("://" not in value, name, f"{key} holds an address, which may hold a password")
    must(not of_kind("Secret"), "Secret", "a secret is in the repository")
    pods = of_kind("StatefulSet") + of_kind("Deployment")
    found = set()
    for workload in pods:
        where, template = workload["metadata"]["name"], workload["spec"]["template"]
        labels = template["metadata"]["labels"]
        found.add(labels[COMPONENT])
        must(selects(workload["spec"]["selector"], labels), where, "does not select its own pods")
        check_pod(where, workload["kind"], template, settings)
        budgets = [b for b in of_kind("PodDisruptionBudget") if selects(b["spec"]["selector"], labels)]
        must(len(budgets) == 1, where, f"{len(budgets)} disruption budgets")
        must(all(b["spec"].get("maxUnavailable") == 1 for b in budgets), where, "blocks the drain of a node")
        policies = [p["spec"] for p in of_kind("NetworkPolicy") if selects(p["spec"]["podSelector"], labels)]
        denied = [
            p for p in policies
            if set(p["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in p and "egress" not in p
        ]
        must(denied, where, "nothing is denied to it by default")
    must(found == ROLES, "workloads", f"roles {sorted(found)}")
    collector = of_kind("StatefulSet")
    must(len(collector) == 1 and collector[0]["spec"]["volumeClaimTemplates"], "collector", "its data is not kept")


name, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    check([document for document in yaml.safe_load_all(file) if document])
if breaches:
    sys.exit("\n".join(f"{name}: {breach}" for breach in breaches))
print(f"{name}: every pod is confined, drains, and holds no secret")
