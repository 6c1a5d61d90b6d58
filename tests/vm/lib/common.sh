# Words that the other parts share. Sourced by ../run; sets no state but its variables.
# shellcheck shell=bash disable=SC2154,SC2034

vm_cache=${CASEMATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/casemate-tests}/vm
# An ordinary user's PATH often lacks what mkfs.ext4 and chroot live in.
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'vm: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 125
}

# Runs its arguments as root of a user namespace that has this user's subordinate ids, or plainly when root already:
# so files keep their owners inside the image whoever builds it.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else unshare --user --map-auto --map-root-user "$@"; fi
}

# ensure PROGRAM PACKAGE [PROGRAM PACKAGE]…: installs the packages of the programs that are not there.
ensure() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "install these first: ${missing[*]}"
    say "installing ${missing[*]}"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}
