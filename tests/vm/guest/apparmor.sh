# A machine on which AppArmor is asked before a user namespace is made, in stages; each check is a line, `ok` or `FAIL`, and
# tests/vm/run counts them. A profile that says nothing of them shows what the doctor and the service say then; the profile that is
# shipped, loaded as the page has it, lifts that. What deploy.sh has is used here too.
stage=$*
# Nothing of it is to be run.
set --
. /share/product/deploy.sh
deb=$(echo "$product"/package/casemate_*.deb)
profile=/etc/apparmor.d/casemate

# What the package holds, without what installing it starts.
unpacked() {
    expect "this kernel asks AppArmor" 1 "$(grep -c userns_create /sys/kernel/security/apparmor/features/namespaces/mask)"
    expect "unpacked" 0 "$(dpkg-deb -x "$deb" / >/dev/null; echo $?)"
    mkdir /home/images
    tar -xpf "$product/images.tar" -C /home/images
    chown -R judge: /home/images
}

settings() {
    mkdir -p ~/.config/casemate
    echo 'images = "/home/images"' >~/.config/casemate/casemate.toml
    export $(patience)
}

doctor() { # FIELD: of the findings that are missing
    casemate doctor --json | jq -r --arg field "$1" '[.findings[] | select(.standing == "missing")][] | .[$field]'
}

served() { # NAME PROFILE: it serves, and each of its processes runs under that profile
    local pid id
    casemate serve >~/serve.log 2>&1 &
    pid=$!
    until curl -sf "$url/readyz" >/dev/null; do
        kill -0 $pid 2>/dev/null || { echo "  FAIL $1: serve ended:"; cat ~/serve.log; return; }
        sleep 0.3
    done
    job "$1: a job" 'completed 42' python 'print(6*7)'
    id=$(jq -n '{language: "python", code: "import time; print(1, flush=True); time.sleep(100)"}' | curl -sf "$url/submit" -d @- | jq -r .id)
    until pgrep -f 'time.sleep\(100\)|python3 -c' >/dev/null && [ "$(curl -sf "$url/status?id=$id" | jq -r .status)" = running ]; do sleep 0.3; done
    expect "$1: its profile, and that of each container" "$2" "$(profiles $pid)"
    kill $pid
    wait $pid
    expect "$1: its end" 0 $?
}

# Of every process below PID, each once.
profiles() { # PID
    local all=$1 more=$1
    while more=$(pgrep -d, -P "$more") && [ -n "$more" ]; do all=$all,$more; done
    for pid in ${all//,/ }; do cat "/proc/$pid/attr/apparmor/current" 2>/dev/null; done | sort -u | paste -sd,
}

unconfined() {
    settings
    expect "no profile: set up" 0 "$(casemate setup >~/setup.log 2>&1; echo $?)"
    expect "no profile: nothing is missing" '' "$(doctor problem)"
    served "no profile" unconfined
}

# A profile for the same program that may do all but this.
forbids() {
    printf '%s\n' 'abi <abi/4.0>,' 'include <tunables/global>' 'profile casemate /usr/{,local/}bin/casemate flags=(attach_disconnected) {' \
        'file, capability, network, unix, signal, ptrace, mount, umount, remount, pivot_root, mqueue, io_uring,' '}' >$profile
    expect "a profile without the line: it loads" 0 "$(apparmor_parser -r $profile >&2; echo $?)"
}

forbidden() {
    settings
    expect "without the line: others may still" 0 "$(unshare --user true; echo $?)"
    expect "without the line: what the doctor misses" namespaces-refused "$(doctor problem)"
    expect "without the line: and how to mend it" 1 "$(doctor mend | grep -c 'casemate.apparmor that comes with it')"
    expect "without the line: under what it was asked" 1 "$(casemate doctor --quick | grep -c 'user namespaces: AppArmor profile casemate (enforce)')"
    expect "without the line: a start" 1 "$(casemate serve >~/serve.log 2>&1; echo $?)"
    expect "without the line: and what it says" 1 "$(grep -c 'cannot make a user namespace' ~/serve.log)"
    sed 's/^/       /' ~/serve.log
}

allows() {
    rm $profile
    typed AppArmor
}

allowed() {
    settings
    expect "the profile: nothing is missing" '' "$(doctor problem)"
    expect "the profile: the doctor names it" 1 "$(casemate doctor --quick | grep -c 'user namespaces: AppArmor profile casemate (unconfined)')"
    served "the profile" 'casemate (unconfined)'
}

$stage
