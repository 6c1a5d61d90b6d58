# What runs inside one machine: the product, set up and serving, and the black-box suites. Packs what the guest needs,
# runs the stages of guest/*.sh, counts. Not here: booting.
# Adds to $work/results a line `PLACE PASSED FAILED SKIPPED SECONDS` for each part, and to $work/failures one a failure.
# shellcheck shell=bash disable=SC2154

vm_tree=$(cd "$vm_here/../.." && pwd)
# Wall-clock limits inside are this many times as long as the tests say: emulation is some thirty times slower than a
# machine, but most of a limit is spent waiting.
vm_scale=6

# What the guest gets, in $work/product: what is shipped (docs/deploy/package), built images, scripts. Images are named by their
# recipe, so that the guest builds none.
product_pack() {
    local images=${CMTEST_IMAGES:-}
    if [ -z "$images" ] && [ "$(id -u)" = 0 ]; then images=/var/lib/casemate/images; fi
    images=${images:-$HOME/.local/share/casemate/images}
    mkdir "$work/product"
    touch "$work/results" "$work/failures"
    "$vm_tree/docs/deploy/package" "$work/product/package" >&2 || die "the package cannot be built"
    cp "$work"/product/package/casemate-*-linux-* "$work/product/casemate"
    cp "$vm_tree"/docs/{deploy/casemate.service,OPERATIONS.md,CONTAINERS.md} \
        "$vm_here"/guest/{product.sh,deploy.sh,container.sh,apparmor.sh,suite.sh,subset} "$work/product/"
    # Only this format keeps times to the nanosecond, which the service compares.
    (cd "$images" && tar --format=posix -cf "$work/product/images.tar" -- *-????????????) \
        || die "the images in $images cannot be packed: none was built (casemate setup), or there is no room in $work"
}

# The file system of a container's image, likewise.
container_pack() {
    ensure mmdebstrap mmdebstrap
    "$vm_tree/docs/deploy/container/rootfs" "$work/product/package" >&2 || die "the image's file system cannot be built"
    mv "$work/product/package/casemate-rootfs.tar" "$work/product/"
}

# The executables of the tests that guest/subset names, without what only a debugger reads.
suite_pack() {
    local target targets=() file
    for target in $(sed -n 's/^\(+ \)\?\([a-z_]*\) .*/\2/p' "$vm_here/guest/subset" | sort -u); do targets+=(--test "$target"); done
    (cd "$vm_tree" && cargo test --quiet --no-run --message-format=json "${targets[@]}") >"$work/built" \
        || die "the tests cannot be built"
    sed -n 's/.*"kind":\["test"\].*"name":"\([a-z_]*\)".*"executable":"\([^"]*\)".*/\1 \2/p' "$work/built" \
        | while read -r target file; do strip -o "$work/product/$target" "$file"; done
    # What tests read at run time, below what they take for the tree.
    mkdir -p "$work/product/tree/tests"
    cp -r "$vm_tree/tests/programs" $(ls -d "$vm_tree/tests/attacks" 2>/dev/null) "$work/product/tree/tests/"
    for target in "${targets[@]}"; do
        [ "$target" = --test ] || [ -x "$work/product/$target" ] || die "no executable of the tests $target was built"
    done
}

# One stage of guest/product.sh, of guest/deploy.sh, or of guest/container.sh, as USER.
product_stage() { guest_stage product "$@"; } # USER STAGE [ARGUMENT]…
deploy_stage() { guest_stage deploy "$@"; }
container_stage() { guest_stage container "$@"; }
apparmor_stage() { guest_stage apparmor "$@"; }
guest_stage() { # SCRIPT USER STAGE [ARGUMENT]…
    local began=$SECONDS
    say "[$2] ${*:3}"
    machine_do "$machine" "$2" "bash /share/product/$1.sh ${*:3}" | tee -a "$work/checks" \
        || echo "  FAIL [$2] ${*:3}: did not end well" | tee -a "$work/checks"
    say "[$2] ${*:3}: took $((SECONDS - began)) s"
}

result() { printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$work/results"; }

# Every check of the product, and then the suites under each of the runtimes named.
stages() { # [RUNTIME]…
    local began=$SECONDS spent=0 runtime
    product_stage root give judge
    product_stage judge setup
    product_stage judge serve crun judge
    # What else it does under runc the suites show.
    product_stage judge serve-briefly runc judge
    for runtime in "$@"; do suite_stage "$runtime" chosen; done
    product_stage root give fresh
    product_stage fresh setup
    product_stage fresh after
    product_stage root setup
    product_stage root give casemate
    product_stage root serve-briefly crun casemate
    product_stage root unit
    say reboot
    machine_reboot "$machine"
    product_stage root unit-after
    deploy_stage root package
    deploy_stage judge user
    deploy_stage root remove
    product_stage root give casemate
    product_stage root after
    product_stage root give fresh
    product_stage fresh after
    product_stage root give judge
    product_stage judge after
    container_stage root prepare
    container_stage judge serve
    checked "VM product" $((SECONDS - began - spent))
}

# What guest/apparmor.sh has to see, in a machine whose kernel asks AppArmor.
apparmor_stages() {
    local began=$SECONDS
    apparmor_stage root unpacked
    apparmor_stage judge unconfined
    apparmor_stage root forbids
    apparmor_stage judge forbidden
    apparmor_stage root allows
    apparmor_stage judge allowed
    checked "VM apparmor" $((SECONDS - began))
}

# Counts the checks that were made.
checked() { # PLACE SECONDS
    local passed failed
    passed=$(grep -c '^  ok ' "$work/checks" || true)
    failed=$(grep -c '^  FAIL ' "$work/checks" || true)
    [ "$((passed + failed))" -gt 0 ] || { echo '  FAIL no check of the product was made' >"$work/checks"; failed=1; }
    sed -n 's/^  FAIL /in the machine: /p' "$work/checks" >>"$work/failures"
    result "$1" "$passed" "$failed" 0 "$2"
}

# Nothing but the suites, all of them.
suites_alone() { # RUNTIME…
    local spent=0 runtime
    product_stage root give judge
    product_stage judge setup
    for runtime in "$@"; do suite_stage "$runtime" whole; done
}

# The suites of guest/subset under RUNTIME; `none` for what needs none; the chosen or the whole of them. Adds to spent, of stages.
suite_stage() { # RUNTIME chosen|whole
    local began=$SECONDS log=$work/suite-$1 passed failed ran wanted
    say "[judge] suites, $1"
    machine_do "$machine" judge "bash /share/product/suite.sh $1 $vm_scale $2" 2>&1 | tee "$log" || true
    passed=$(awk '/^test result: / { for (i = 1; i < NF; i++) if ($(i + 1) ~ /^passed/) p += $i } END { print p + 0 }' "$log")
    failed=$(grep -c '^test .* \.\.\. FAILED$' "$log" || true)
    sed -n "s/^test \(.*\) \.\.\. FAILED\$/in the machine: \1/p" "$log" >>"$work/failures"
    ran=$((passed + failed)) wanted=$(sed -n 's/^done //p' "$log")
    # A test that was renamed, and a suite that died, would be missed by nobody.
    if [ "$ran" != "${wanted:-0}" ] || [ "$ran" = 0 ]; then
        failed=$((failed + 1))
        echo "in the machine: of ${wanted:-the} tests of guest/subset under $1 only $ran ran" >>"$work/failures"
    fi
    result "VM $1" "$passed" "$failed" 0 $((SECONDS - began))
    spent=$((spent + SECONDS - began))
}

# The last words: each failure, and the sum, which is the exit status.
told() {
    sed 's/^/FAILED /' "$work/failures"
    awk -F'\t' '{ p += $2; f += $3 } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 || p == 0 }' "$work/results"
}
