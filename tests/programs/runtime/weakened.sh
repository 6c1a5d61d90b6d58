#!/bin/sh
# A runtime that takes something away from every container: `edit` changes config.json before `create`, `raise` runs
# before `start`, when the service has read the limits back already.
PATH=$PATH:/usr/sbin:/usr/bin
here=${0%/*}
verb= bundle= before= id=
for word; do
    case $before in --bundle) bundle=$word ;; esac
    case $word in create | start | delete) verb=$word ;; esac
    before=$word id=$word
done
case $verb in
create)
    sed -i "$(cat "$here/edit")" "$bundle/config.json" || exit 1
    echo "$bundle/pid" >"$here/$id"
    ;;
start)
    groups=/proc/$(cat "$(cat "$here/$id")")/cgroup
    # On cgroup v1 the service has covered the tree for the runtime's sake.
    unshare --mount sh -c '
        raise() { if [ -e "$1" ]; then echo "$2" >"$1"; fi; }
        v1() { raise "/sys/fs/cgroup/$1$(sed -n "s|^[0-9]*:$1:\(/\.\.\)*||p" '"$groups"')/$2" "$3"; }
        v2() { raise "/sys/fs/cgroup$(sed -n "s/^0:://p" '"$groups"')/$1" "$2"; }
        [ -d /sys/fs/cgroup/jobs ] || { umount /sys/fs/cgroup && umount /sys/fs/cgroup; }
        . "$0"' "$here/raise" || exit 1
    ;;
esac
exec RUNTIME "$@"
