# The product on this machine as a deployment has it, one stage of it as whoever calls: `product.sh setup`,
# `product.sh serve RUNTIME ACCOUNT` (or `serve-briefly`), `product.sh after` (a reboot); as root `product.sh give USER`
# before the first of them, `product.sh unit` with the unit that we ship, and `product.sh unit-after`. Each check is a
# line, `ok` or `FAIL`; tests/vm/run counts them. /share/product holds the release binary, the unit, images.tar (the built
# images) and this script.
set -u
product=/share/product
binary=$product/casemate
# Below /home: what is below /srv and its like is covered by the service's own mounts.
export CASEMATE_IMAGES=/home/images PORT=8090
url=http://127.0.0.1:$PORT

expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then echo "  ok   $1"; else printf '  FAIL %s: %q, wanted %q\n' "$1" "$3" "$2"; fi
}

# Waits for a command to succeed, but not for ever.
soon() { # COMMAND [ARGUMENT]…
    local until=$((SECONDS + 60))
    until "$@" || [ $SECONDS -ge $until ]; do sleep 0.2; done
}
groups() { find "$scope/jobs" -mindepth 1 -maxdepth 1 -type d | sort; }
jobs_are_gone() { [ -z "$(find "$scope/jobs" -mindepth 1 -type d)" ]; }

# Emulation is some thirty times slower than a machine: limits of time are raised, those of space are what they are.
patient() {
    local language
    for language in PYTHON C CPP JAVA; do
        export "CASEMATE_LIMITS__${language}__RUN__WALL_MS=120000" "CASEMATE_LIMITS__${language}__RUN__CPU_SECONDS=120" \
            "CASEMATE_LIMITS__${language}__RUN__CPU_PERCENT=90"
        [ $language = PYTHON ] || export "CASEMATE_LIMITS__${language}__COMPILE__WALL_MS=300000" \
            "CASEMATE_LIMITS__${language}__COMPILE__CPU_SECONDS=300"
    done
    # A container that waits for a job has a cgroup too, and would be taken for the job's.
    export CASEMATE_POOL__LEAST=0 CASEMATE_POOL__MOST=0
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
    local id leaf='' now before seen='' wanted='104857600 0 1 65 900000 1000000' until=$((SECONDS + 60))
    # Of other jobs.
    before=$(groups)
    id=$(submit python 'import time; print("here", flush=True); time.sleep(6)')
    # Before it is started not everything may be set, and once it is being ended its share of the processor is lifted.
    while [ "$seen" != "$wanted" ] && [ $SECONDS -lt $until ]; do
        now=$(comm -13 <(echo "$before") <(groups) | head -n1)
        [ -z "$now" ] || leaf=$now
        [ -z "$(cat "$now/cgroup.procs" 2>/dev/null)" ] \
            || seen=$(cd "$now" && cat memory.max memory.swap.max memory.oom.group pids.max cpu.max | paste -sd' ')
        sleep 0.1
    done
    expect "$1: limits of a job" "$wanted" "$seen"
    expect "$1: ends" $'completed here' "$(ended "$id")"
    # A result is told before its container is cleared away.
    soon test ! -d "$leaf"
    expect "$1: its cgroup" gone "$(test -d "$leaf" && echo there || echo gone)"
    [ ! -d "$leaf" ] || { grep -H . "$leaf"/cgroup.{procs,events}; ps -eo pid,ppid,stat,wchan:20,args | tail -n 20; tail -n 20 "$HOME/serve.log"; }
}

# What the service before had under way when it was killed is under way again; it is not waited for.
kept() { # NAME
    local id
    [ -e "$HOME/cut-off" ] || return 0
    id=$(cat "$HOME/cut-off")
    rm "$HOME/cut-off"
    soon eval '[ "$(curl -sf "$url/status?id=$id" | jq -r .status)" = running ]'
    expect "$1: runs again what was cut off" running "$(curl -sf "$url/status?id=$id" | jq -r .status)"
    curl -sf -X DELETE "$url/v1/submissions/$id" >/dev/null
    soon jobs_are_gone
}

# Everything a service does, under RUNTIME.
served() { # RUNTIME WHO
    begun "$1" "$2" || return
    everything "$1"
    ended_well "$1"
    runs_a_file "$1"
}

# Started as root it is a service like any other, under the name of its account.
served_briefly() { # RUNTIME WHO
    begun "$1" "$2" || return
    ended_well "$1"
}

begun() { # RUNTIME WHO
    local name=$1 who=$2
    export CASEMATE_RUNTIME=$1
    start || return
    kept "$name"
    expect "$name: runtime" 1 "$(grep -c "INFO $1 version .*, limits by cgroup v2" "$HOME/serve.log")"
    expect "$name: is in a scope" casemate-$pid.scope "${scope##*/}"
    expect "$name: runs as" "$who $who" "$(ps -o user= -p "$pid,$(pgrep -P $pid)" | paste -sd' ')"
    limits "$name"
    job "$name: python" 'completed 42' python 'print(6*7)'
}

everything() { # NAME
    local name=$1 crowd
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
}

ended_well() { # NAME
    local name=$1
    soon jobs_are_gone
    expect "$name: cgroups of jobs" "" "$(find "$scope/jobs" -mindepth 1 -type d)"
    kill $pid
    wait $pid
    expect "$name: status after SIGTERM" 0 $?
    expect "$name: left after SIGTERM" "" "$(left)"
    # The hard way, with a job in it.
    start || return
    submit python 'import time; time.sleep(600)' >"$HOME/cut-off"
    until [ -n "$(find "$scope/jobs" -mindepth 1 -type d)" ]; do sleep 0.1; done
    kill -9 $pid
    wait $pid 2>/dev/null
    expect "$name: left after SIGKILL" "" "$(left)"
}

runs_a_file() { # NAME
    local name=$1
    cd "$HOME" && printf 'print(input())\nraise SystemExit(3)\n' >a.py
    expect "$name: casemate run" $'hello\n3' "$(echo hello | "$binary" run a.py; echo $?)"
    printf 'a = bytearray(200 << 20)\n' >a.py
    expect "$name: casemate run, memory" 137 "$("$binary" run a.py </dev/null 2>/dev/null; echo $?)"
    expect "$name: left after run" "" "$(left)"
}

# Waits for the service of the unit; sets pid and scope.
unit_up() {
    until curl -sf "$url/queue-stats" >/dev/null; do
        [ "$(systemctl is-active casemate)" != failed ] || { echo "  FAIL unit: it does not start"; journalctl --no-pager -u casemate | tail -n 20; return 1; }
        sleep 0.3
    done
    pid=$(systemctl show -P MainPID casemate)
    scope=/sys/fs/cgroup/system.slice/casemate.service
}

# The release binary as a system service, installed as the head of the unit says.
unit() {
    local before
    install -m 755 "$binary" /usr/local/bin/casemate
    install -m 644 $product/casemate.service /etc/systemd/system/
    mkdir -p /etc/casemate
    mv "$CASEMATE_IMAGES" /var/lib/casemate/images
    unset CASEMATE_IMAGES
    env | grep -E '^(CASEMATE_|PORT=)' >/etc/casemate/environment
    systemctl daemon-reload
    expect "unit: started" 0 "$(systemctl enable --now --quiet casemate; echo $?)"
    unit_up || return
    expect "unit: runs as" "casemate casemate" "$(ps -o user= -p "$pid,$(pgrep -P "$pid")" | paste -sd' ')"
    expect "unit: its cgroup" "0::/system.slice/casemate.service/server" "$(cat "/proc/$pid/cgroup")"
    expect "unit: the system is read-only for it" ro "$(findmnt -N "$pid" -no OPTIONS / | cut -d, -f1)"
    kept unit
    limits unit
    job "unit: java" 'completed java' java 'public class A { public static void main(String[] a) { System.out.println("java"); } }'
    job "unit: memory" $'failed \nexit status 137' python 'a = bytearray(200 << 20); print("survived")'
    job "unit: fork bomb" $'failed \nexecution timed out after 6 seconds' c '#include <unistd.h>
int main(void) { for (;;) fork(); }'
    job "unit: still serves" 'completed 42' python 'print(6*7)'
    expect "unit: the same process" "$pid" "$(systemctl show -P MainPID casemate)"
    before=$pid
    kill -9 "$pid"
    until [ "$(systemctl show -P MainPID casemate)" != "$before" ] && [ "$(systemctl is-active casemate)" = active ]; do sleep 0.2; done
    unit_up || return
    job "unit: serves again after SIGKILL" 'completed 42' python 'print(6*7)'
    systemctl stop casemate
    expect "unit: result of the stop" success "$(systemctl show -P Result casemate)"
    expect "unit: left" "" "$(ls -d "$scope" 2>/dev/null; left)"
}

unit_after() { # a reboot: nobody has started it
    unit_up || return
    job "unit: serves" 'completed 42' python 'print(6*7)'
    expect "unit: cleared away" 0 "$(systemctl disable --now --quiet casemate; echo $?)"
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
        [ ! -d /var/lib/casemate/images ] || mv /var/lib/casemate/images "$CASEMATE_IMAGES"
        [ -d "$CASEMATE_IMAGES" ] || { mkdir "$CASEMATE_IMAGES" && tar -C "$CASEMATE_IMAGES" -xpf $product/images.tar; }
        chown -R "$2:" "$CASEMATE_IMAGES"
        ;;
    serve) served "$2" "$3" ;;
    serve-briefly) served_briefly "$2" "$3" ;;
    unit) unit ;;
    unit-after) unit_after ;;
    after) # a reboot
        start || return
        kept "after"
        job "serves" 'completed 42' python 'print(6*7)'
        kill $pid
        wait $pid
        expect "status after SIGTERM" 0 $?
        expect "left" "" "$(left)"
        ;;
    esac
}

stage "$@"
