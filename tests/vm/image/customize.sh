# Runs outside the new root ($1), after all packages are in: users, what not to start, packages kept for offline use.
set -eu
root=$1

# judge: an ordinary user as a deployment has him: sudo, lingering, a range of subordinate ids.
# fresh: the same without subordinate ids and without lingering, for trying the set-up.
chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 judge
chroot "$root" useradd --create-home --shell /bin/bash --uid 1001 fresh
printf 'judge:100000:65536\n' >"$root/etc/subuid"
printf 'judge:100000:65536\n' >"$root/etc/subgid"
printf 'judge ALL=(ALL) NOPASSWD: ALL\nfresh ALL=(ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/casemate-vm"
chmod 440 "$root/etc/sudoers.d/casemate-vm"
mkdir -p "$root/var/lib/systemd/linger"
: >"$root/var/lib/systemd/linger/judge"

# `apt-get install` of what the project's set-up installs works offline, also after `apt-get remove`.
chroot "$root" apt-get clean
chroot "$root" apt-get install --quiet=2 --yes --reinstall --download-only crun runc uidmap mmdebstrap gpg >/dev/null

echo casemate-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost casemate-vm\n::1 localhost\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 defaults 0 0\n' >"$root/etc/fstab"
: >"$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"

# Nothing here has a screen, a network or a tomorrow; each unit left out makes every boot shorter.
for unit in getty.target serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service systemd-pstore.service \
    systemd-networkd-wait-online.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-machine-id-commit.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/share"
ln -sf ../casemate-vm-agent.service "$root/etc/systemd/system/multi-user.target.wants/casemate-vm-agent.service"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
