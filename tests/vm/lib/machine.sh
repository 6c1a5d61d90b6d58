# A running machine: a directory below the cache, named by its id, with a lock that lives as long as its QEMU.
# Files there: lock, pid, console.log, out, err (what commands print), ctl.in and ctl.out (pipes), share-N.squashfs.
# shellcheck shell=bash disable=SC2154,SC2034

# machine_up SECONDS DIR…: boots a machine that lives SECONDS at the most, prints its id once it takes commands.
machine_up() {
    local limit=$1 image dir
    shift
    image=$(image_ready)
    ensure qemu-system-x86_64 qemu-system-x86 mksquashfs squashfs-tools
    machine_sweep
    mkdir -p "$vm_cache/machines"
    dir=$(mktemp -d "$vm_cache/machines/XXXXXXXX")
    exec 8>"$dir/lock"
    flock 8
    mkfifo "$dir/ctl.in" "$dir/ctl.out"
    touch "$dir/out" "$dir/err"
    local disks=() n=0 share name
    for share in "$@"; do
        [ -d "$share" ] || die "--share $share: no such directory"
        name=$(basename "$(realpath "$share")")
        [ ${#name} -le 20 ] || die "--share $share: a disk's serial number holds 20 bytes; choose a shorter last name"
        machine_share "$share" "$dir/share-$n.squashfs"
        disks+=(-drive "if=none,id=share$n,format=raw,readonly=on,file=$dir/share-$n.squashfs"
            -device "virtio-blk-pci,drive=share$n,serial=$name")
        n=$((n + 1))
    done
    # -snapshot keeps what the guest writes in an unlinked file in TMPDIR. fd 8 goes along: the lock is QEMU's life.
    # Its exit status is not looked at: a machine that is gone has answered nothing, and that is the error.
    TMPDIR=$dir timeout --kill-after=5 "$limit" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nic none -display none -nodefaults -no-user-config \
        -kernel "$image/vmlinuz" -initrd "$image/initrd" \
        -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off net.ifnames=0" \
        -drive "if=none,id=root,format=raw,snapshot=on,file=$image/root.ext4" -device virtio-blk-pci,drive=root,serial=root \
        "${disks[@]}" \
        -device virtio-rng-pci -serial "file:$dir/console.log" \
        -device virtio-serial-pci \
        -chardev "pipe,id=ctl,path=$dir/ctl" -device virtserialport,chardev=ctl,name=casemate.ctl \
        -chardev "file,id=out,path=$dir/out" -device virtserialport,chardev=out,name=casemate.out \
        -chardev "file,id=err,path=$dir/err" -device virtserialport,chardev=err,name=casemate.err \
        </dev/null >"$dir/qemu.log" 2>&1 &
    echo $! >"$dir/pid"
    exec 8>&-
    basename "$dir"
}

# A directory as a read-only disk. Every file belongs to judge: the host's ids mean nothing inside. No compression:
# building it then costs as much as copying, and reading it costs nothing without KVM.
machine_share() {
    nice mksquashfs "$1" "$2" -noI -noD -noF -noX -no-xattrs -no-progress -quiet -force-uid 1000 -force-gid 1000 >&2 \
        || die "--share $1: cannot be read whole"
}

machine_dir() {
    [ -e "$vm_cache/machines/$1/pid" ] || die "no machine $1"
    printf '%s\n' "$vm_cache/machines/$1"
}

machine_alive() { kill -0 "$(cat "$1/pid")" 2>/dev/null; }

# machine_answer DIR [SECONDS]: waits for one line from the guest, or for the machine's end, or until it is too late;
# the latter two are status 124, as with timeout(1).
machine_answer() {
    local dir=$1 line='' until=$((SECONDS + ${2:-1000000}))
    while ! IFS= read -r -t 1 line <&5; do
        { machine_alive "$dir" && [ "$SECONDS" -lt "$until" ]; } || {
            say "no answer from the machine; the end of its console:"
            cat "$dir/console.log" "$dir/qemu.log" | tail -n 20 >&2
            return 124
        }
    done
    printf '%s\n' "$line"
}

machine_wait_ready() {
    local dir
    dir=$(machine_dir "$1")
    [ "$(machine_answer "$dir" 600 5<>"$dir/ctl.out")" = ready ] || die "the machine did not come up"
}

# machine_do ID USER SCRIPT: runs SCRIPT (text for the user's shell), passes its output through, returns its status.
machine_do() {
    local dir user=$2 script=$3 status tails=() stream waiter
    dir=$(machine_dir "$1")
    local answer="$dir/answer"
    exec 7>"$dir/busy"
    flock 7
    # Sizes first, then the request: what comes after them is this command's.
    local out_at err_at
    out_at=$(stat -c %s "$dir/out")
    err_at=$(stat -c %s "$dir/err")
    (exec 7>&-; machine_answer "$dir" 5<>"$dir/ctl.out" >"$answer") &
    waiter=$!
    printf '%s %s\n' "$user" "$(base64 -w0 <<<"$script")" 5<>"$dir/ctl.in" >&5
    tail --pid="$waiter" -s 0.1 -c "+$((out_at + 1))" -f "$dir/out" 7>&- &
    tails+=($!)
    tail --pid="$waiter" -s 0.1 -c "+$((err_at + 1))" -f "$dir/err" >&2 7>&- &
    tails+=($!)
    status=0
    wait "$waiter" || status=$?
    for stream in "${tails[@]}"; do wait "$stream" || true; done
    exec 7>&-
    [ "$status" = 0 ] || return "$status"
    read -r _ status <"$answer"
    return "$status"
}

machine_reboot() {
    local dir
    dir=$(machine_dir "$1")
    printf 'reboot -\n' 5<>"$dir/ctl.in" >&5
    machine_wait_ready "$1"
}

# Ends a machine by its process id. Its disk was a scratch copy, so there is nothing to save.
machine_down() {
    local dir pid
    dir=$(machine_dir "$1")
    pid=$(cat "$dir/pid")
    kill "$pid" 2>/dev/null || true
    # The lock is free when QEMU is gone.
    flock "$dir/lock" rm -rf "$dir"
}

# Removes what machines left whose callers were killed: their lock is free.
machine_sweep() {
    local dir
    for dir in "$vm_cache"/machines/*/; do
        [ -e "$dir/lock" ] || continue
        flock --nonblock "$dir/lock" rm -rf "$dir" || true
    done
}
