#!/usr/bin/env bash
# Installs the codex versions that the end-to-end tests run, into target/codex/VERSION, and prints the paths of
# their native binaries. It needs node and npm and nothing else; a version that is there already costs nothing.
#
#     tests/e2e/install.sh             every version that is tested
#     tests/e2e/install.sh 0.171.0     only this one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)

# binary DIRECTORY: the native binary of an installed package. The place depends on the version and on the platform.
binary() {
    local file
    for file in "$1"/node_modules/@openai/codex-*/vendor/*/{bin,codex}/codex; do
        if [[ -x $file ]]; then
            printf '%s\n' "$file"
            return
        fi
    done
    return 1
}

# fetch VERSION DIRECTORY: no scripts of packages are run.
fetch() {
    npm install --prefix "$2" --no-audit --no-fund --no-package-lock --ignore-scripts --include=optional \
        --loglevel=error "@openai/codex@$1" >&2
}

# install VERSION: a directory with this name is whole, since it is made under another.
install() {
    local version=$1 directory="$target/codex/$1" making
    binary "$directory" && return
    if ! command -v npm >/dev/null; then
        printf 'codex %s is not installed, and there is no npm to install it with. Install Node.js: https://nodejs.org\n' \
            "$version" >&2
        return 1
    fi
    mkdir -p "$target/codex"
    making=$(mktemp -d "$target/codex/.$version.XXXXXX")
    printf 'installing codex %s\n' "$version" >&2
    if ! fetch "$version" "$making"; then
        printf 'that failed: once more\n' >&2
        if ! fetch "$version" "$making"; then
            rm -rf "$making"
            printf 'codex %s cannot be installed: see what npm says above\n' "$version" >&2
            return 1
        fi
    fi
    if ! binary "$making" >/dev/null; then
        rm -rf "$making"
        printf 'codex %s has no native binary for this platform\n' "$version" >&2
        return 1
    fi
    rm -rf "$directory"
    mv "$making" "$directory"
    binary "$directory"
}

if (($# == 0)); then
    # shellcheck disable=SC2046 # one word a version
    set -- $(sed -n 's/^pub const [A-Z]*: &str = "\(.*\)";$/\1/p' tests/src/codex/versions.rs)
fi
for version in "$@"; do
    install "$version"
done
