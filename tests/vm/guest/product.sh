# The product on this machine as a deployment has it, one stage of it as whoever calls: `product.sh setup`,
# `product.sh serve RUNTIME ACCOUNT`, `product.sh after` (a reboot), and as root `product.sh give USER` before the first
# of them. Each check is a line, `ok` or `FAIL`; tests/vm/run counts them. /share/product holds the release binary,
# images.tar (the built images) and this script.
set -u
product=/share/product
binary=$product/casemate
# Below /home: what is below /srv and its like is covered by the service's own mounts.
export CASEMATE_IMAGES=/home/images PORT=8090
url=http://127.0.0.1:$PORT

expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then echo "  ok   $1"; else printf '  FAIL %s: %q, wanted %q\n' "$1" "$3" "$2"; fi
}

# Emulation is some thirty times slower than a machine: limits of time are raised, those of space are what they are.
patient() {
    local language
    for language in PYTHON C CPP JAVA; do
        export "CASEMATE_LIMITS__${language}__RUN__WALL_MS=120000" "CASEMATE_LIMITS__${language}__RUN__CPU_SECONDS=120" \
            "CASEMATE_LIMITS__${language}__RUN__CPU_PERCENT=90"
        [ $language = PYTHON ] || export "CASEMATE_LIMITS__${language}__COMPILE__WALL_MS=300000" \
            "CASEMATE_LIMITS__${language}__COMPILE__CPU_SECONDS=300"
    done
    # This one is for what never ends by itself.
    export CASEMATE_LIMITS__C__RUN__WALL_MS=6000 CASEMATE_LAUNCH_MS=60000
}

submit() { # LANGUAGE CODE: prints the id
    jq -n --arg language "$1" --arg code "$2" '{$language, $code}' | curl -sf "$url/submit" -d @- | jq -r .id
}

ended() { # ID: prints `status output` once there is an end
    local result
    while :; do
        result=$(curl -sf "$url/result?id=$1") || { echo "no answer"; return; }
        case $(jq -r .status <<<"$result") in completed | failed) break ;; esac
        sleep 0.3
    done
    jq -r '"\(.status) \(.output)"' <<<"$result"
}

job() { # NAME WANTED LANGUAGE CODE
    expect "$1" "$2" "$(ended "$(submit "$3" "$4")")"
}

# What a service could leave behind: its cgroups, its processes, its mounts.
scopes() { find /sys/fs/cgroup -name 'casemate-*.scope'; }
left() {
    local n=0
    # A scope ends a moment after its last process.
    while [ -n "$(scopes)" ] && [ $n -lt 50 ]; do sleep 0.2; n=$((n + 1)); done
    scopes
    pgrep -a -x casemate
    pgrep -a -x crun
    pgrep -a '^runc'
    # Sessions come and go.
    diff <(grep -v ' /run/user/' "$HOME/mounts") <(grep -v ' /run/user/' /proc/self/mounts)
}

start() { # in the background; sets pid, and scope to its cgroup
    "$binary" serve >"$HOME/serve.log" 2>&1 &
    pid=$!
    until curl -sf "$url/queue-stats" >/dev/null; do
        kill -0 $pid 2>/dev/null || { echo "  FAIL serve ended:"; cat "$HOME/serve.log"; return 1; }
        sleep 0.3
    done
    scope=/sys/fs/cgroup$(cut -d: -f3 "/proc/$pid/cgroup")
    scope=${scope%/server}
}

limits() { # NAME: what holds a python job that waits to be read
    local id leaf
    id=$(submit python 'import time; print("here", flush=True); time.sleep(6)')
    # Once the share of the processor is lifted the job is being ended; before it is started there may be no oom.group.
    until leaf=$(find "$scope/jobs" -mindepth 1 -maxdepth 1 -type d | head -n1) && [ -n "$leaf" ] \
        && [ "$(cat "$leaf/memory.oom.group" 2>/dev/null)" = 1 ]; do sleep 0.1; done
    expect "$1: limits of a job" "104857600 0 65 900000 1000000" \
        "$(cat "$leaf/memory.max" "$leaf/memory.swap.max" "$leaf/pids.max" "$leaf/cpu.max" | paste -sd' ')"
    expect "$1: ends" $'completed here' "$(ended "$id")"
    expect "$1: its cgroup" gone "$(test -d "$leaf" && echo there || echo gone)"
}

# Everything a service does, under RUNTIME.
served() { # RUNTIME WHO
    local name=$1 who=$2 crowd
    export CASEMATE_RUNTIME=$1
    start || return
    expect "$name: runtime" 1 "$(grep -c "INFO $1 version .*, limits by cgroup v2" "$HOME/serve.log")"
    expect "$name: is in a scope" casemate-$pid.scope "${scope##*/}"
    expect "$name: runs as" "$who $who" "$(ps -o user= -p "$pid,$(pgrep -P $pid)" | paste -sd' ')"
    limits "$name"
    job "$name: python" 'completed 42' python 'print(6*7)'
    job "$name: c" 'completed c' c '#include <stdio.h>
int main(void) { puts("c"); }'
    job "$name: cpp" 'completed cpp' cpp '#include <iostream>
int main() { std::cout << "cpp\n"; }'
    job "$name: java" 'completed java' java 'public class A { public static void main(String[] a) { System.out.println("java"); } }'
    job "$name: exit status" $'failed \nexit status 7' python 'raise SystemExit(7)'
    job "$name: memory" $'failed \nexit status 137' python 'a = bytearray(200 << 20); print("survived")'
    crowd='import os, signal
n = 0
try:
    while True:
        if os.fork() == 0: signal.pause()
        n += 1
except OSError: print(n)'
    job "$name: forks are held" 'completed 63' python "$crowd"
    job "$name: time" $'failed \nexecution timed out after 6 seconds' c 'int main(void) { for (;;); }'
    job "$name: fork bomb" $'failed \nexecution timed out after 6 seconds' c '#include <unistd.h>
int main(void) { for (;;) fork(); }'
    job "$name: still serves" 'completed 42' python 'print(6*7)'
    expect "$name: cgroups of jobs" "" "$(find "$scope/jobs" -mindepth 1 -type d)"
    kill $pid
    wait $pid
    expect "$name: status after SIGTERM" 0 $?
    expect "$name: left after SIGTERM" "" "$(left)"
    # The hard way, with a job in it.
    start || return
    submit python 'import time; time.sleep(600)' >/dev/null
    until [ -n "$(find "$scope/jobs" -mindepth 1 -type d)" ]; do sleep 0.1; done
    kill -9 $pid
    wait $pid 2>/dev/null
    expect "$name: left after SIGKILL" "" "$(left)"
    cd "$HOME" && printf 'print(input())\nraise SystemExit(3)\n' >a.py
    expect "$name: casemate run" $'hello\n3' "$(echo hello | "$binary" run a.py; echo $?)"
    printf 'a = bytearray(200 << 20)\n' >a.py
    expect "$name: casemate run, memory" 137 "$("$binary" run a.py </dev/null 2>/dev/null; echo $?)"
    expect "$name: left after run" "" "$(left)"
}

stage() { # WHAT [ARGUMENT]…
    patient
    cat /proc/self/mounts >"$HOME/mounts"
    case $1 in
    setup)
        "$binary" setup >"$HOME/setup.log" 2>&1
        expect "set-up" 0 $?
        expect "set-up, again" "everything is there" "$("$binary" setup 2>&1 | grep '^everything')"
        sed -n '/^ok/!s/^/       /p' "$HOME/setup.log"
        ;;
    give) # the images to USER; with their times to the nanosecond, for these are looked at
        [ -d "$CASEMATE_IMAGES" ] || { mkdir "$CASEMATE_IMAGES" && tar -C "$CASEMATE_IMAGES" -xpf $product/images.tar; }
        chown -R "$2:" "$CASEMATE_IMAGES"
        ;;
    serve) served "$2" "$3" ;;
    after) # a reboot
        start || return
        job "serves" 'completed 42' python 'print(6*7)'
        kill $pid
        wait $pid
        expect "status after SIGTERM" 0 $?
        expect "left" "" "$(left)"
        ;;
    esac
}

stage "$@"
