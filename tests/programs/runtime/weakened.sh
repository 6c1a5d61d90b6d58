#!/bin/bash
# A runtime that takes something away from every container: `edit` changes config.json first, and `raise` runs once the
# service has read the limits back. That is when it gives the init its word: until then the init is stopped.
PATH=$PATH:/usr/sbin:/usr/bin
here=${0%/*}
verb= bundle= before=
for word; do
    case $before in --bundle) bundle=$word ;; esac
    case $word in run | delete) verb=$word ;; esac
    before=$word
done
[ "$verb" = run ] || exec RUNTIME "$@"
sed -i "$(cat "$here/edit")" "$bundle/config.json" || exit 1
RUNTIME "$@" || exit
[ "$(cat "$here/raise")" != : ] || exit 0
pid=$(cat "$bundle/pid")
kill -STOP "$pid"
(
    exec <"/proc/$pid/fd/4" >/dev/null 2>&1
    until read -t 0; do sleep 0.005; done
    groups=/proc/$pid/cgroup
    # On cgroup v1 the service has covered the tree for the runtime's sake. Where nothing could be raised the init stays
    # stopped: it would run into its limit, as if that had held.
    until unshare --mount sh -c '
        raised=
        raise() { if [ -e "$1" ]; then echo "$2" >"$1" && raised=1; fi; }
        v1() { raise "/sys/fs/cgroup/$1$(sed -n "s|^[0-9]*:$1:\(/\.\.\)*||p" '"$groups"')/$2" "$3"; }
        v2() { raise "/sys/fs/cgroup$(sed -n "s/^0:://p" '"$groups"')/$1" "$2"; }
        [ -d /sys/fs/cgroup/jobs ] || { umount /sys/fs/cgroup && umount /sys/fs/cgroup; }
        . "$0"
        [ -n "$raised" ]' "$here/raise"; do
        # Until the service has given up.
        [ -e "$groups" ] || exit
        sleep 0.05
    done
    kill -CONT "$pid"
) &
