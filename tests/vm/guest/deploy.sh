# The recipes of docs/OPERATIONS.md on this machine, word for word: the blocks of the page are what is run. `deploy.sh package` as
# root, then `deploy.sh user` as a user with ids and lingering, then `deploy.sh remove` as root. Each check is a line, `ok` or
# `FAIL`; tests/vm/run counts them. /share/product holds what product.sh says, target/package as `package`, and the page.
set -u
product=/share/product
page=$product/OPERATIONS.md
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

# Types it.
typed() { # HEADING
    local text
    text=$(recipe "$1")
    [ -n "$text" ] || { echo "  FAIL $1: the page has no such recipe"; return 1; }
    bash -euo pipefail -c "$text" </dev/null >"$HOME/typed.log" 2>&1
    expect "$1: as the page says" 0 $?
    # What was typed last may end without a line's end.
    sed 's/^/       /' "$HOME/typed.log" && echo
}

# Emulation is some thirty times slower than a machine. Nothing else is set: the recipes are for the defaults.
patience() {
    local language
    echo CASEMATE_LAUNCH_MS=60000
    for language in PYTHON C; do
        printf "CASEMATE_LIMITS__${language}__RUN__%s\n" WALL_MS=120000 CPU_SECONDS=120 CPU_PERCENT=90
    done
    printf 'CASEMATE_LIMITS__C__COMPILE__%s\n' WALL_MS=300000 CPU_SECONDS=300
}

job() { # NAME WANTED LANGUAGE CODE
    local id result
    id=$(jq -n --arg language "$3" --arg code "$4" '{$language, $code}' | curl -sf "$url/submit" -d @- | jq -r .id)
    while result=$(curl -sf "$url/result?id=$id"); do
        case $(jq -r .status <<<"$result") in completed | failed) break ;; esac
        sleep 0.3
    done
    expect "$1" "$2" "$(jq -r '"\(.status) \(.output)"' <<<"$result")"
}

jobs_of() { # NAME
    job "$1: python" 'completed 42' python 'print(6*7)'
    job "$1: c" 'completed c' c '#include <stdio.h>
int main(void) { puts("c"); }'
    job "$1: memory" $'failed \nexit status 137' python 'a = bytearray(200 << 20); print("survived")'
}

# Of every process below PID: a field of its status, each value once.
field() { # PID FIELD
    local all=$1 more=$1
    while more=$(pgrep -d, -P "$more") && [ -n "$more" ]; do all=$all,$more; done
    for pid in ${all//,/ }; do sed -n "s/^$2:[[:space:]]*//p" "/proc/$pid/status" 2>/dev/null; done | sort -u | paste -sd' '
}

# What systemd thinks of the unit, against what the page shows of it.
exposure() { # NAME [--user]
    local seen
    seen=$(systemd-analyze $2 security --no-pager casemate.service | sed -n 's/.*Overall exposure level for casemate.service: \([0-9.]* [A-Z]*\).*/\1/p')
    expect "$1: exposure as the page says" 1 "$(grep -c "Overall exposure level for casemate.service: $seen" "$page")"
    echo "       $seen"
}

package() {
    local pid
    mkdir -p /root/tree/target /etc/casemate
    ln -sfn "$product/package" /root/tree/target/package
    # What another stage installed by hand would be found before it.
    rm -f /usr/local/bin/casemate /etc/systemd/system/casemate.service
    systemctl daemon-reload
    [ -d /var/lib/casemate/images ] || mv /home/images /var/lib/casemate/images
    patience >/etc/casemate/environment
    cd /root/tree && typed 'The Debian package' || return
    expect "package: a static program" 'statically linked' "$(ldd /usr/bin/casemate 2>&1 | sed 's/^[[:space:]]*//')"
    pid=$(systemctl show -P MainPID casemate)
    jobs_of package
    # The unit has a filter of its own, which has to leave the service ptrace.
    expect "package: a refused call is named" true "$(jq -n '{language: "python", source: "import socket; socket.socket()", diagnose: true}' |
        curl -sf "$url/v1/submissions?wait=60" -d @- | jq '[.run.refused_calls[].name] | index("socket") != null')"
    expect "package: runs as" casemate "$(ps -o user= -p "$pid")"
    expect "package: no_new_privs" 1 "$(field "$pid" NoNewPrivs)"
    # Inside its user namespace it has all of them; none of those is this machine's.
    expect "package: in a user namespace of its own" different \
        "$([ "$(readlink "/proc/$pid/ns/user")" = "$(readlink /proc/self/ns/user)" ] && echo same || echo different)"
    exposure package ''
    expect "package: an upgrade restarts it" 0 "$(apt-get install -qq --reinstall ./target/package/casemate_*.deb >/dev/null 2>&1; echo $?)"
    until [ "$(systemctl show -P MainPID casemate)" != "$pid" ] && curl -sf "$url/readyz" >/dev/null; do sleep 0.3; done
    job "package: serves after an upgrade" 'completed 42' python 'print(6*7)'
    typed Backup
    until curl -sf "$url/readyz" >/dev/null; do sleep 0.3; done
    job "package: serves after a backup and its way back" 'completed 42' python 'print(6*7)'
    systemctl disable --now --quiet casemate
    mv /var/lib/casemate/images /home/images
    chown -R judge: /home/images
}

user() {
    mkdir -p ~/.config/casemate
    patience >~/.config/casemate/environment
    # The job that an earlier stage cut off runs again and for ever; the stop does not wait for it.
    echo CASEMATE_SHUTDOWN_MS=1000 >>~/.config/casemate/environment
    echo 'images = "/home/images"' >~/.config/casemate/casemate.toml
    typed 'As a user' || return
    jobs_of user
    exposure user --user
    expect "user: stopped" 0 "$(systemctl --user disable --now --quiet casemate; echo $?)"
    rm -r ~/.config/casemate
}

remove() {
    chown -R casemate: /home/images
    echo kept >/var/lib/casemate/kept
    systemctl start casemate
    expect "remove: status" 0 "$(apt-get remove -qq casemate >/dev/null 2>&1; echo $?)"
    expect "remove: nothing runs" "" "$(pgrep -a -x casemate)"
    expect "remove: the settings stay" there "$([ -e /etc/casemate/casemate.toml ] && echo there)"
    expect "remove: purged, and told what is left" 1 "$(apt-get purge -qq casemate 2>&1 | grep -c 'left are the results and images in /var/lib/casemate')"
    expect "remove: results stay" kept "$(cat /var/lib/casemate/kept)"
    rm -rf /etc/casemate /var/lib/casemate/kept
}

"$@"
