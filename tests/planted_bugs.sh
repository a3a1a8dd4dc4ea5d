#!/bin/sh
# Plants one bug after the other, as a --cfg of this crate alone, and lets the simulator look for it.
# Prints after how many seeds each was caught, and by which invariant; fails if one was not.
#
#   tests/planted_bugs.sh [SEEDS [BUG...]]
#   PROFILE=--profile=dev tests/planted_bugs.sh      (builds faster, runs slower)
set -u
cd "$(dirname "$0")/.." || exit 1
seeds=${1:-2000}
profile=${PROFILE:---release}
[ $# -gt 0 ] && shift
bugs=${*:-$(grep -rhoE 'verisoo_bug = "[a-z-]+"' src | cut -d'"' -f2 | sort -u)}
wrappers=$(pwd)/target/planted
mkdir -p "$wrappers"
failed=0
printf '| bug | seeds until caught | by |\n| --- | --- | --- |\n'
for bug in $bugs; do
    # A wrapper of its own each, so that what is built with one bug is never taken for another's.
    printf '#!/bin/sh\nexec "$@" --cfg '\''verisoo_bug="%s"'\''\n' "$bug" > "$wrappers/$bug"
    chmod +x "$wrappers/$bug"
    found=$(RUSTC_WORKSPACE_WRAPPER=$wrappers/$bug cargo run -q $profile -p verisoo-simulate -- \
        swarm --seeds "0..$seeds" --first --profile all --json 2>"$wrappers/$bug.log")
    seed=$(printf '%s\n' "$found" | sed -n 's/^seed \([0-9]*\): .*/\1/p' | head -n 1)
    by=$(printf '%s\n' "$found" | sed -n 's/^seed [0-9]*: \([A-Za-z]*\) .*/\1/p' | head -n 1)
    if [ -z "$found" ]; then
        printf '| %s | did not build | - |\n' "$bug"
        failed=1
    elif [ -n "$seed" ]; then
        printf '| %s | %s | %s |\n' "$bug" "$((seed + 1))" "${by:-panic}"
    else
        printf '| %s | not within %s | - |\n' "$bug" "$seeds"
        failed=1
    fi
done
exit $failed
