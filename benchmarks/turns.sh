#!/usr/bin/env bash
# Measures whole turns on the real codex, and calls through a codex-manager of ours, into parts/turns.md.
#
#     ./turns.sh [TURNS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

turns=${1:-50}
: "${CODEX_SKILLS_CODEX:=$(tests/e2e/install.sh 0.171.0)}"
export CODEX_SKILLS_CODEX
codex=$(cargo run --quiet --release --locked -p codex-skills-tests --bin app_server_turns -- "$turns")
manager=$(cargo run --quiet --release --locked -p codex-skills-tests --bin manager_calls -- "$turns")

mkdir -p benchmarks/parts
{
    printf '## Turns\n\n'
    printf 'codex app-server of %s, with a model of ours on loopback. ' "$("$CODEX_SKILLS_CODEX" --version)"
    printf 'The minimal client answers at once and does nothing else; both take turns in one run.\n\n'
    # Sentences become items of a list; the table stays as it is.
    sed -E 's/^([a-z].*)$/- \1/; s/^- whole turns, (.*)$/Whole turns, \1:\n/' <<<"$codex"
    printf '\nThrough a codex-manager of ours, in the same process, from the frame that announces a call to its answer:\n\n'
    sed 's/^/- /' <<<"$manager"
} >benchmarks/parts/turns.md
cat benchmarks/parts/turns.md
