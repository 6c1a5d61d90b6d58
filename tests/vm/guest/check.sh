# What a deployment would find on this machine. Ends with a status other than 0 when something it promises is missing.
set -eu
echo "kernel $(uname -r), $(systemctl --version | head -n1), $(crun --version | head -n1), $(runc --version | head -n1)"
echo "system: $(systemctl is-system-running --wait || true), user manager: $(systemctl --user is-system-running --wait || true)"
echo "cgroup: $(stat -fc %T /sys/fs/cgroup), root has: $(cat /sys/fs/cgroup/cgroup.controllers)"
echo "a user's delegated scope:"
systemd-run --user --scope --quiet -p Delegate=yes sh -c '
    here=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
    echo "  $here"
    echo "  controllers: $(cat "$here/cgroup.controllers")"
    mkdir "$here/server" && echo $$ >"$here/server/cgroup.procs"
    echo "+memory +pids +cpu" >"$here/cgroup.subtree_control"
    echo "  enabled: $(cat "$here/cgroup.subtree_control")"'
echo "security modules: $(cat /sys/kernel/security/lsm 2>/dev/null || sudo cat /sys/kernel/security/lsm)"
echo "seccomp actions: $(cat /proc/sys/kernel/seccomp/actions_avail)"
modules=/lib/modules/$(uname -r)
for wanted in CGROUP_BPF SECCOMP_FILTER USER_NS OVERLAY_FS SQUASHFS EROFS_FS 9P_FS VIRTIO_FS VIRTIO_BLK VIRTIO_CONSOLE VSOCKETS SECURITY_LANDLOCK; do
    printf '%s=%s ' "$wanted" "$(sed -n "s/^CONFIG_$wanted=//p" "/boot/config-${modules##*/}" | grep . || echo n)"
done
echo
echo "subordinate ids: $(unshare -U --map-auto --map-root-user awk '{print $1 "->" $2 "+" $3}' /proc/self/uid_map | paste -sd' ')"
