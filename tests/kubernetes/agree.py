"""Holds the manifest against the page: `agree.py PAGE CONTAINER_DIRECTORY MANIFEST`.

The page's options of Podman are read out of its blocks; what they give a container is put in words, what the manifest gives it is put
in the same words, and both have to be the same. A line for each thing, `ok` or `FAIL`; ends with 1 where one differs.
"""

import re
import shlex
import sys

import yaml

page, directory, manifest = sys.argv[1:]
bad = False


def expect(name, wanted, got):
    global bad
    if wanted == got:
        print(f"  ok   {name}")
    else:
        bad = True
        print(f"  FAIL {name}: {got}, wanted {wanted}")


def podman_options(text):
    """The options of the array `options`, and those of the call that stays."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    block = next(block for block in blocks if "podman run --detach" in block)
    array = re.search(r"^options=\(\n(.*?)^\)$", block, re.M | re.S)[1]
    call = re.search(r"^podman run --detach (.*)$", block, re.M)[1].replace('"${options[@]}"', "")
    words = shlex.split(array, comments=True) + shlex.split(call)
    options, rest = {}, iter(words)
    for word in rest:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            flag = name in ("--read-only",)
            options.setdefault(name, []).append(value or ("" if flag else next(rest)))
    # An option that nobody here knows could give anything; so could one that is said again, of which one alone would be compared.
    known = {"--cap-drop", "--cap-add", "--security-opt", "--read-only", "--volume", "--secret", "--env", "--publish", "--name"}
    expect("every option of Podman is compared", set(), set(options) - known)
    expect("each is said once", [], [name for name in options if len(options[name]) > 1 and name not in ("--security-opt", "--env")])
    allowed = {"unmask=/proc/*", "unmask=/sys/fs/cgroup", "seccomp=seccomp.json"}
    expect("no other --security-opt", set(), set(options["--security-opt"]) - allowed)
    expect("a volume, no place of the machine", False, "/" in options["--volume"][0].split(":")[0])
    expect("it listens for this machine alone", "127.0.0.1", options["--publish"][0].split(":")[0])
    return options


def of_podman(options, containerfile):
    security = dict(option.split("=", 1) if "=" in option else (option, "") for option in options["--security-opt"])
    unmasked = [option.removeprefix("unmask=") for option in options["--security-opt"] if option.startswith("unmask=")]
    secret = dict(part.split("=", 1) for part in options["--secret"][0].split(",")[1:])
    return {
        "capabilities": sorted(options["--cap-add"][0].upper().split(",")),
        "those of an engine": "none" if options.get("--cap-drop") == ["all"] else "kept",
        "/proc": "uncovered" if "/proc/*" in unmasked else "covered",
        "cgroups": "written to" if "/sys/fs/cgroup" in unmasked else "read",
        # Rootless, it always has one.
        "user namespace": "its own",
        # That the filter which the page makes lets launches through is what the machine has tried. Without root there is no profile.
        "filter": "lets launches through" if security.get("seccomp") in ("seccomp.json", "unconfined") else "refuses launches",
        "profile": "none" if "apparmor" not in security else security["apparmor"],
        "no_new_privs": "set" if "no-new-privileges" in security else "not set",
        "root file system": "read" if "--read-only" in options else "written to",
        # Without --user, and where the image names none.
        "user": 0 if "--user" not in options and "\nUSER" not in containerfile else "another",
        "home": options["--volume"][0].split(":")[1],
        "mode of the tokens": int(secret["mode"], 8),
        "tokens": secret["target"],
        "port": int(options["--publish"][0].split(":")[-1]),
        "settings": dict(option.split("=", 1) for option in options["--env"]),
    }


def of_manifest(objects, container, pod):
    one, security = container, container["securityContext"]
    annotations = pod["metadata"].get("annotations", {})
    handlers = {item["metadata"]["name"]: item["handler"] for item in objects if item["kind"] == "RuntimeClass"}
    writable = handlers.get(pod["spec"].get("runtimeClassName")) == "casemate" \
        and annotations.get("io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw") == "true"
    mounts = {mount["name"]: mount for mount in one["volumeMounts"]}
    secret = next(volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume)
    settings = {item["name"]: item.get("value") for item in one["env"]}
    return {
        "capabilities": sorted(security["capabilities"].get("add", [])),
        "those of an engine": "none" if security["capabilities"].get("drop") == ["ALL"] else "kept",
        "/proc": "uncovered" if security.get("procMount") == "Unmasked" else "covered",
        "cgroups": "written to" if writable else "read",
        "user namespace": "its own" if pod["spec"].get("hostUsers") is False else "the node's",
        "filter": "lets launches through" if security["seccompProfile"]["type"] == "Unconfined" else "refuses launches",
        "profile": "none" if security["appArmorProfile"]["type"] == "Unconfined" else "one",
        "no_new_privs": "not set" if security["allowPrivilegeEscalation"] else "set",
        "root file system": "read" if security.get("readOnlyRootFilesystem") else "written to",
        "user": security["runAsUser"],
        "home": mounts["home"]["mountPath"],
        "mode of the tokens": secret.get("defaultMode"),
        "tokens": mounts["tokens"]["mountPath"] + "/tokens.toml",
        "port": next((port["containerPort"] for port in one.get("ports", [])), None),
        "settings": settings,
    }


# What a field that nobody has compared gives, nobody knows. The keys of a pod, of a container, and of its confinement.
POD = {"runtimeClassName", "hostUsers", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds",
       "initContainers", "containers", "volumes"}
CONTAINER = {"name", "image", "args", "securityContext", "env", "resources", "volumeMounts", "ports", "startupProbe", "readinessProbe",
             "livenessProbe"}
CONFINEMENT = {"runAsUser", "runAsGroup", "allowPrivilegeEscalation", "capabilities", "procMount", "seccompProfile", "appArmorProfile",
               "readOnlyRootFilesystem"}
OBJECTS = ["Namespace casemate", "RuntimeClass casemate", "Service casemate", "NetworkPolicy casemate", "StatefulSet casemate"]


def nothing_else(objects, pod):
    expect("the objects", OBJECTS, [f"{item['kind']} {item['metadata']['name']}" for item in objects])
    expect("no other field of a pod", set(), set(pod["spec"]) - POD)
    expect("no token of the cluster", False, pod["spec"].get("automountServiceAccountToken"))
    kinds = {kind for volume in pod["spec"]["volumes"] for kind in volume if kind != "name"}
    expect("the kinds of volumes", {"secret", "emptyDir"}, kinds)
    for one in pod["spec"]["containers"] + pod["spec"]["initContainers"]:
        expect(f"{one['name']}: no other field", set(), set(one) - CONTAINER)
        expect(f"{one['name']}: no other field of its confinement", set(), set(one["securityContext"]) - CONFINEMENT)
        ports = {key for port in one.get("ports", []) for key in port}
        expect(f"{one['name']}: no port of the node", set(), ports - {"name", "containerPort"})


def main():
    text = open(page).read()
    containerfile = open(f"{directory}/Containerfile").read()
    podman = of_podman(podman_options(text), containerfile)
    objects = [item for item in yaml.safe_load_all(open(manifest)) if item]
    pod = next(item for item in objects if item["kind"] == "StatefulSet")["spec"]["template"]
    nothing_else(objects, pod)
    containers = pod["spec"]["containers"]
    expect("there is one container", ["casemate"], [one["name"] for one in containers])
    for one in containers + pod["spec"]["initContainers"]:
        kube = of_manifest(objects, one, pod)
        if one not in containers:
            # What sets up opens no port.
            kube["port"] = podman["port"]
        for what, wanted in podman.items():
            expect(f"{one['name']}: {what}", wanted, kube[what])
        # Podman has a /tmp in memory for a container that is read-only.
        places = {mount["mountPath"] for mount in one["volumeMounts"]}
        expect(f"{one['name']}: places", {podman["home"], podman["tokens"].rsplit("/", 1)[0], "/tmp"}, places)
        expect(f"{one['name']}: privileged", False, one["securityContext"].get("privileged", False))
    expect("the arguments", [["setup"], ["serve"]], [one["args"] for one in pod["spec"]["initContainers"] + containers])
    for part in ("hostPID", "hostIPC", "hostNetwork"):
        expect(f"no {part}", False, pod["spec"].get(part, False))
    expect("no place of the node", [], [volume["name"] for volume in pod["spec"]["volumes"] if "hostPath" in volume])
    # The ids that the image lends have to be among those that the page has the kubelet give a pod.
    first, count = map(int, re.search(r"casemate:(\d+):(\d+)", open(f"{directory}/install").read()).groups())
    given = int(re.search(r"idsPerPod: (\d+)", text)[1])
    expect("a pod has the ids that the image lends", True, first + count <= given and given % 65536 == 0)


main()
sys.exit(bad)
