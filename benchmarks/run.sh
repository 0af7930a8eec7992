#!/usr/bin/env bash
# Measures everything and writes RESULTS.md with its plots.
#
#     ./run.sh                 some ten minutes, after everything is built
#     ./run.sh --quick         one or two, and its numbers are worth nothing
#     ./run.sh --no-turns      without the real codex, which needs npm; the last turns that were measured stay
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

quick=() turns=50
for argument in "$@"; do
    case $argument in
        --quick) quick=(--quick) turns=5 ;;
        --no-turns) turns=0 ;;
        *)
            printf 'unknown argument: %s\n' "$argument" >&2
            exit 2
            ;;
    esac
done

# Nothing is built while something is measured.
cargo build --release --locked -p peers
if ((turns > 0)); then
    (cd .. && cargo build --release --locked -p codex-skills-tests --bin app_server_turns --bin manager_calls --bin request_bytes)
    ./turns.sh "$turns"
    ./requests.sh
fi
cargo run --release --locked -p peers --bin weigh -- "${quick[@]}"
cargo run --release --locked -p peers -- "${quick[@]}"
printf 'written: %s\n' RESULTS.md latency.svg outstanding.svg
