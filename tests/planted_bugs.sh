#!/bin/sh
# Plants one bug after the other, each a patch in tests/planted, in a copy of this checkout, and lets the simulator
# look for it. Prints after how many seeds each was caught, and by which invariant; fails if one was not, or if a patch
# does not apply to the code as it is now.
#
#   tests/planted_bugs.sh [SEEDS [BUG...]]
#   tests/planted_bugs.sh --check [BUG...]           only that each applies, and that the core compiles with it
#   PROFILE=--profile=dev tests/planted_bugs.sh      (builds faster, runs slower)
#
# To plant one more: make the mistake, `git diff src >tests/planted/NAME.patch`, write above it what a user would lose,
# and undo the mistake. Where a patch does not apply any more, `git apply -3` in the checkout shows where it belonged.
set -u
cd "$(dirname "$0")/.." || exit 1
mode=swarm
seeds=${1:-2000}
[ "$seeds" = --check ] && mode=check
[ $# -gt 0 ] && shift
patches=$PWD/tests/planted
bugs=${*:-$(cd "$patches" && for patch in *.patch; do echo "${patch%.patch}"; done)}

# What is built is kept, for the next bug and the next time: only the core is built anew, and what is built on it.
mkdir -p "${CARGO_TARGET_DIR:-target}/planted" || exit 1
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/planted" && pwd)
# Git is not to take the copy for a part of this checkout: it would leave out all of a patch, and say nothing.
GIT_CEILING_DIRECTORIES=$CARGO_TARGET_DIR
export CARGO_TARGET_DIR GIT_CEILING_DIRECTORIES

# Always the same place, or what was built could not be used again; so only one at a time may be at it.
copy=$CARGO_TARGET_DIR/$mode
if kill -0 "$(cat "$copy.pid" 2>/dev/null)" 2>/dev/null; then
    echo "process $(cat "$copy.pid") is planting bugs in $copy" >&2
    exit 1
fi
echo $$ >"$copy.pid"
trap 'rm -rf "$copy" "$copy.pid"' EXIT
trap 'exit 130' HUP INT TERM
rm -rf "$copy" && mkdir "$copy" || exit 1
# (All files are new, -m: by older dates cargo would take what it built of the last bug for built of them.)
git ls-files -coz --exclude-standard | tar --null -T - -cf - | tar -xmf - -C "$copy"
cd "$copy" || exit 1

simulate() {
    task=$1
    shift
    # With debug assertions the simulator also asks whether a node's own state is sound.
    cargo "$task" -q --locked "${PROFILE:---release}" --config profile.release.debug-assertions=true \
        -p verisoo-simulate "$@"
}

row() { printf '| %s | %s | %s |\n' "$@"; }

fails() {
    failed=1
    [ $mode = check ] || row "$1" "$2" -
    echo "$1 $2" >&2
}

try() {
    log=$CARGO_TARGET_DIR/$1.log
    if [ $mode = check ]; then
        cargo check -q --locked -p verisoo --features sim 2>"$log" && return
        cat "$log" >&2
        fails "$1" "does not compile"
    elif ! simulate build 2>"$log"; then
        cat "$log" >&2
        fails "$1" "does not build"
    else
        found=$(simulate run -- swarm --seeds "0..$seeds" --first --profile all --json 2>>"$log")
        first=$(printf '%s\n' "$found" | sed -n 's/^seed //p' | head -n 1)
        case $first in
            '') fails "$1" "not within $seeds" ;;
            *' on node '*) by=${first#*: } && row "$1" $((${first%%:*} + 1)) "\`${by%% on node *}\`" ;;
            *) row "$1" $((${first%%:*} + 1)) "${first#*: }" ;;
        esac
    fi
}

failed=0
[ $mode = check ] || printf '| bug | seeds until caught | by |\n| --- | --- | --- |\n'
for bug in $bugs; do
    if git apply "$patches/$bug.patch"; then
        try "$bug"
        git apply -R "$patches/$bug.patch" || exit 1
    else
        fails "$bug" "does not apply"
    fi
done
[ $mode = check ] && [ $failed = 0 ] && echo "each planted bug applies, and the core compiles with it"
exit $failed
