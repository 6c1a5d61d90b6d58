# The black-box suites on this machine, as an ordinary user to whose service systemd delegates: `suite.sh RUNTIME SCALE
# chosen|whole`, or `suite.sh none …` for the tests that run under none. Which tests, subset says. /share/product holds the executables of
# the tests, the release binary and subset; `product.sh give` has put the images where they are looked for.
# Prints what the executables print, and `done N` at the end, N being the number of tests that were to run.
set -u
product=/share/product
# Of the attacks one or two of each kind; each takes seconds to compile here. None of them runs into a limit of time. The chosen
# ones are held by what cgroup v2 or the kernel does, not only by our own code. There is no compiler outside of the images here,
# so none is chosen that a compiler carries out and that is to succeed on the root of the machine.
export CMTEST_ATTACK="exhaustion/bss exhaustion/daemons exhaustion/fork_bomb exhaustion/memfd exhaustion/thread_bomb
    kernel/mount.c kernel/unshare_user leaks/accounts.py leaks/cgroup_path leaks/network runtime/limit_init"
[ "$3" = chosen ] || export CMTEST_ATTACK="exhaustion/bss exhaustion/daemons exhaustion/fork_bomb exhaustion/heap.py exhaustion/memfd
    exhaustion/page_cache exhaustion/stack exhaustion/survivor exhaustion/thread_bomb exhaustion/tmp_counts exhaustion/zombies
    kernel/io_uring kernel/mount.c kernel/ptrace kernel/socket_inet6 kernel/unshare_user kernel/i386_abi leaks/accounts.py
    leaks/cgroup_path leaks/mount_table leaks/network peers/early_ peers/own_port.py
    peers/compiler_memory runtime/forge_report runtime/limit_init runtime/write_image"
export CARGO_MANIFEST_DIR=$product/tree CMTEST_BINARY=$product/casemate CMTEST_IMAGES=/home/images RUST_BACKTRACE=0
export CMTEST_TIME_SCALE=$2
wanted=0 status=0
while read -r target names; do
    case $target:$3 in
    :* | '#'*) continue ;;
    +:chosen) continue ;;
    +:*) target=${names%% *} names=${names#* } ;;
    esac
    case $1:$names in
    none:*RUNTIME*) continue ;;
    none:*) ;;
    *:*RUNTIME*) names=${names//RUNTIME/under_$1} ;;
    *) continue ;;
    esac
    read -ra names <<<"$names"
    wanted=$((wanted + ${#names[@]}))
    began=$SECONDS
    # One at a time, for many measure; within a table the programs run beside each other.
    "$product/$target" --test-threads=1 --exact "${names[@]}" 2>&1 || status=1
    echo "took $((SECONDS - began)) s: $target ${names[*]}"
done <"$product/subset"
echo "done $wanted"
exit $status
