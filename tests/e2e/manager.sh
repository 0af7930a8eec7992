#!/usr/bin/env bash
# Runs tests on a real codex-manager: a checkout that is ready to run (`pnpm install` was done, node is on PATH).
#
#     tests/e2e/manager.sh CHECKOUT [TEST..]
#
# The model is ours, the codex is one of e2e/install.sh (the version before the newest, which the recordings are of), and
# everything is on loopback, in folders that are gone afterwards. CODEX_SKILLS_CODEX names another codex.
set -euo pipefail
checkout=$(cd "${1:?usage: tests/e2e/manager.sh CHECKOUT [TEST..]}" && pwd)
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo=${CARGO:-cargo}

previous=$(sed -n 's/^pub const PREVIOUS: &str = "\(.*\)";$/\1/p' tests/src/codex/versions.rs)
codex=${CODEX_SKILLS_CODEX:-$(tests/e2e/install.sh "$previous")}
port=${CODEX_SKILLS_MANAGER_PORT:-3391}
url=http://127.0.0.1:$port
tsx=$checkout/apps/api/node_modules/.bin/tsx
[[ -x $tsx ]] || { printf '%s is not ready to run: pnpm install\n' "$checkout" >&2; exit 1; }

$cargo build --quiet -p codex-skills-tests --bin model
scratch=$(mktemp -d)
server=
stop() {
    [[ -z $server ]] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    exec 3>&- || true
    rm -rf "$scratch"
}
trap stop EXIT

# The model runs until the pipe that is its input is closed.
mkfifo "$scratch/in" "$scratch/out"
"${CARGO_TARGET_DIR:-target}/debug/model" <"$scratch/in" >"$scratch/out" &
exec 3>"$scratch/in"
environment=()
while read -r line && [[ -n $line ]]; do environment+=("$line"); done <"$scratch/out"

(
    cd "$checkout/apps/api"
    exec env "${environment[@]}" HOST=127.0.0.1 PORT="$port" DATA_DIR="$scratch/data" CODEX_BIN="$codex" OPENAI_API_KEY= \
        DEFAULT_APPROVAL_POLICY=untrusted ORCHESTRATOR_QUEUE_ENABLED=false LOG_LEVEL=warn \
        "$tsx" src/index.ts
) >"$scratch/log" 2>&1 3>&- &
server=$!
for _ in $(seq 300); do
    curl -fs "$url/api/health" >/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$scratch/log" >&2; exit 1; }
    sleep 0.1
done
curl -fs "$url/api/health" >/dev/null || { cat "$scratch/log" >&2; exit 1; }

status=0
CODEX_SKILLS_MANAGER=$url $cargo test -p codex-skills-tests --test manager_real -- "$@" || status=$?

cat <<'TEXT'

Not run here, for they need faults that only the stand-in has (tests/src/manager):
  manager_faults      frames lost, doubled, late and cut, answers refused or lost, restarts, in every combination
  manager_scale       thousands of calls
  manager::answers    answers refused with 413, 429, 500, in flight elsewhere, half-open requests
  manager::restarts   a server that is away for as long as the test says, request ids that begin at 0 again
  manager::streams    streams that are refused, fall silent, or end in the middle of a frame
  manager::errors     a dead codex, sessions that are lost, owned by the manager, or deleted by others
  manager::turns      methods of codex that the stream does not tell of, false `interrupted`
  manager::settings   the headers that came
  manager::recorded   recordings of this server, held against the stand-in
TEXT
exit "$status"
