# The image: a Debian root file system, its kernel and its initrd, built once for each version of the recipe.
# Not here: anything about running it.
# shellcheck shell=bash disable=SC2154

# The suite; `--suite` of ../run names another.
vm_suite=${vm_suite:-bookworm}
# Sparse; what the guest writes goes into a scratch file that vanishes with the machine.
vm_disk=8G

# The name of the image that this recipe gives: whatever can change its content is in the digest.
image_dir() {
    local digest
    digest=$({ echo "$vm_suite" && cd "$vm_here" && find lib/image.sh image -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum)
    printf '%s/%s\n' "$vm_cache" "${digest:0:16}"
}

# Prints the directory of a finished image (files: root.ext4, vmlinuz, initrd), building it if it is not there.
image_ready() {
    local dir
    dir=$(image_dir)
    if [ ! -d "$dir" ]; then
        ensure mmdebstrap mmdebstrap mkfs.ext4 e2fsprogs newuidmap uidmap
        mkdir -p "$vm_cache"
        # One builder at a time; the others find the image done. The lock goes with the process that holds it.
        (
            flock 9
            [ -d "$dir" ] || image_build "$dir"
        ) 9>"$vm_cache/build.lock"
        [ -d "$dir" ] || die "the image was not built"
    fi
    printf '%s\n' "$dir"
}

image_build() {
    local dir=$1 work="$vm_cache/building"
    as_root rm -rf "$work"
    mkdir "$work"
    say "building $vm_suite image (about two minutes, once)"
    local packages
    packages=$(sed -s '/^#/d' "$vm_here"/image/packages{,.$vm_suite} 2>/dev/null | paste -sd,)
    # The hooks are handed over as text: in mmdebstrap's user namespace this checkout may be unreadable.
    # No device nodes: the kernel brings its own /dev, and an ordinary user could not unpack them.
    nice mmdebstrap --quiet --variant=essential --skip=output/dev,cleanup/apt \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include="$packages" \
        --essential-hook="$(cat "$vm_here/image/essential.sh")" \
        --customize-hook="$(cat "$vm_here/image/customize.sh")" \
        "$vm_suite" - >"$work/root.tar" 9>&- || die "mmdebstrap failed"
    nice "$BASH" "$vm_here/run" _pack "$work" 9>&- || die "packing the image failed"
    chmod a-w "$work/root.ext4"
    # The only step that makes it an image: an interrupted build leaves nothing of this name.
    mv -T "$work" "$dir"
    say "built $dir"
}

# Second half, as root of a namespace that knows the owners: archive in, file system, kernel and initrd out.
image_pack() {
    local work=$1
    mkdir "$work/root"
    tar -C "$work/root" --numeric-owner -xpf "$work/root.tar"
    # The mount point of the kernel's /dev, left out of the archive together with what was in it.
    mkdir -p "$work/root/dev"
    rm "$work/root.tar"
    tar -C "$vm_here/image/files" --owner=0 --group=0 --mode=go=rX -c . | tar -C "$work/root" --no-overwrite-dir -x
    cp "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
    cp "$work"/root/boot/initrd.img-* "$work/initrd"
    chmod 644 "$work/vmlinuz" "$work/initrd"
    truncate -s "$vm_disk" "$work/root.ext4"
    mkfs.ext4 -q -F -L casemate-vm -O ^has_journal -E lazy_itable_init=1,nodiscard -d "$work/root" "$work/root.ext4"
    rm -rf "$work/root"
}
