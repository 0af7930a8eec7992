#!/usr/bin/env bash
# Measures on the real codex how many bytes the model is sent in three turns with 25 skills, into parts/requests.md.
#
#     ./requests.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${CODEX_SKILLS_CODEX:=$(tests/e2e/install.sh 0.171.0)}"
export CODEX_SKILLS_CODEX
bytes=$(cargo run --quiet --release --locked -p codex-skills-tests --bin request_bytes)

mkdir -p benchmarks/parts
{
    printf '## Requests to the model\n\n'
    printf 'Bytes of each request that codex (%s) sends, beside the same tools declared by hand.\n\n' \
        "$("$CODEX_SKILLS_CODEX" --version)"
    printf '%s\n' "$bytes"
} >benchmarks/parts/requests.md
cat benchmarks/parts/requests.md
