# The recipe for Podman of docs/CONTAINERS.md on this machine, word for word: the blocks of the page are what is run. As root
# `container.sh prepare`, then as judge, who has the images, `container.sh serve`. Each check is a line, `ok` or `FAIL`; tests/vm/run counts
# them. /share/product holds what product.sh says, the page, and casemate-rootfs.tar of docs/deploy/container/rootfs.
set -u
product=/share/product
page=$product/CONTAINERS.md
url=http://127.0.0.1:8080

expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then echo "  ok   $1"; else printf '  FAIL %s: %q, wanted %q\n' "$1" "$3" "$2"; fi
}

# What the page tells to type below HEADING: its blocks marked sh.
recipe() { # HEADING
    awk -v heading="$1" '/^#+ / && !block { sub(/^#+ /, ""); on = $0 == heading; next }
        on && /^```/ { block = !block && $0 == "```sh"; next }
        block' "$page"
}

# Types it, in this shell: the page's array of options is used again.
typed() { # HEADING
    recipe "$1" >"$HOME/typed.sh"
    [ -s "$HOME/typed.sh" ] || { echo "  FAIL $1: the page has no such recipe"; return 1; }
    . "$HOME/typed.sh" >"$HOME/typed.log" 2>&1 </dev/null
    expect "$1: as the page says" 0 $?
    sed 's/^/       /' "$HOME/typed.log" && echo
}

# Into Podman's own settings, because the machine is as it is: emulation is some thirty times slower than a machine, and without a network no
# image can be built. The recipe is for the defaults.
settings() {
    mkdir -p ~/.config/containers
    cat >~/.config/containers/containers.conf <<'CONF'
[containers]
env = [ "CASEMATE_IMAGES=/images", "CASEMATE_LAUNCH_MS=60000", "CASEMATE_LIMITS__PYTHON__RUN__WALL_MS=120000",
    "CASEMATE_LIMITS__PYTHON__RUN__CPU_SECONDS=120" ]
volumes = ["/home/images:/images"]
CONF
    # To the account of the image, 900 as the container counts. Not by `podman unshare`, which would make the store before the page does.
    sudo chown -R 100899:100899 /home/images
}

# A submission of CODE as the owner of the token; what jq's FILTER shows of the answer.
submitted() { # CODE WAIT FILTER
    jq -n --arg source "$1" '{language: "python", $source}' |
        curl -sf -H "Authorization: Bearer $(head -n1 ~/container/judge.txt)" "$url/v1/submissions?wait=$2" -d @- | jq -r "$3"
}

# The recipe's options but for one, and what the service says then.
refused() { # NAME LEFT_OUT WORDS
    local option without=()
    for option in "${options[@]}"; do
        # What is left out is the word after --security-opt; one that changes nothing takes its place.
        if [ "$option" = "$2" ]; then option=label=disable; fi
        without+=("$option")
    done
    podman run --rm "${without[@]}" casemate >~/refused.log 2>&1
    expect "container: $1: refused" "1 1" "$? $(grep -c -- "$3" ~/refused.log)"
    [ -z "${VERBOSE:-}" ] || cat ~/refused.log
}

prepare() {
    cd /root && typed 'As root, once'
}

serve() {
    local outer inner group leaf until
    mkdir -p ~/container && cd ~/container || return
    ln -sf $product/casemate-rootfs.tar .
    settings
    typed 'As the user' || return
    expect "container: ready" ok "$(curl -sf $url/readyz)"
    expect "container: limits, and the self-test" "1 1" \
        "$(podman logs casemate 2>&1 | grep -c 'INFO crun version .*, limits by cgroup v2$') $(podman logs casemate 2>&1 | grep -c 'INFO self-test: 7 probes in')"
    expect "container: python" 'accepted 42' "$(submitted 'print(6*7)' 60 '"\(.verdict) \(.run.stdout)"')"
    expect "container: memory" memory_limit "$(submitted 'a = bytearray(200 << 20); print("survived")' 60 .verdict)"
    expect "container: nobody without a token" 401 "$(curl -s -o /dev/null -w '%{http_code}' $url/submit -d '{"language":"python","code":""}')"
    # From outside, what holds a job that runs.
    outer=$(podman inspect --format '{{.State.Pid}}' casemate)
    inner=$(pgrep -P "$outer")
    group=/sys/fs/cgroup$(cut -d: -f3 "/proc/$outer/cgroup")
    group=${group%/casemate/*}
    submitted 'import time; time.sleep(600)' 0 .id >~/id
    until=$((SECONDS + 60))
    until leaf=$(grep -lx 104857600 "$group"/casemate/service-*/jobs/*/memory.max 2>/dev/null | head -n1) && [ -n "$leaf" ] || [ $SECONDS -ge $until ]; do
        sleep 0.2
    done
    leaf=${leaf%/memory.max}
    expect "container: limits of a job" "104857600 0 65" "$(cat "$leaf"/{memory.max,memory.swap.max,pids.max} | paste -sd' ')"
    # The account of the image, in judge's ids; confined as everywhere.
    expect "container: runs as" "100899 100899" "$(stat -c %u "/proc/$outer" "/proc/$inner" | paste -sd' ')"
    expect "container: no_new_privs, a filter" "1 2" "$(sed -n 's/^\(NoNewPrivs\|Seccomp\):[[:space:]]*//p' "/proc/$inner/status" | paste -sd' ')"
    expect "container: stopped" "0 0" "$(podman stop --time 60 casemate >/dev/null; echo $?) $(podman inspect --format '{{.State.ExitCode}}' casemate)"
    expect "container: its cgroup is gone" "" "$(ls -d "$group" 2>/dev/null)"
    refused "without a /proc that nothing covers" 'unmask=/proc/*' "cannot mount /proc in the service's own mount namespace"
    refused "without cgroups to write to" unmask=/sys/fs/cgroup 'no limit can be set: the cgroup file system is mounted read-only'
}

"$@"
