#!/usr/bin/env bash
# What one more skill costs to compile, beside peers and code by hand: writes parts/compile.md.
#
#   compile.sh [-r REPETITIONS] [-n "1 100 200"] [-s "check debug release touch library"] [-c "CONTENDER .."]
#
# Contenders take turns within a repetition. Time is CPU time of cargo and its children (user and system), which a
# busy machine changes less than time on the clock; of the repetitions, the least counts. Dependencies are built
# before, once for all contenders; the crate alone is built anew, with one job and not incrementally. A run of some
# steps (-s) leaves what was measured of the others in the report.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

repetitions=3
sizes='1 100 200'
steps='check debug release touch library'
contenders='ours rmcp rig derived written'
while getopts r:n:s:c: option; do
    case $option in
        r) repetitions=$OPTARG ;;
        n) sizes=$OPTARG ;;
        s) steps=$OPTARG ;;
        c) contenders=$OPTARG ;;
        *) exit 2 ;;
    esac
done

benchmarks=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$benchmarks/target}
mkdir -p "$CARGO_TARGET_DIR"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)/compile
export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
unset RUSTFLAGS
crates=$CARGO_TARGET_DIR/crates
times=$CARGO_TARGET_DIR/times.txt

declare -A titles=(
    [ours]='codex-skills'
    [rmcp]='rmcp'
    [rig]='rig'
    [derived]='by hand, `Deserialize` and `JsonSchema` derived'
    [written]='by hand, `Deserialize` derived, the schema a text'
)

# --- The generated crates ---------------------------------------------------------------------------------------

# The arguments as a struct, with what each field means.
arguments() {
    cat <<RUST
#[derive(serde::Deserialize$2)]
#[serde(deny_unknown_fields)]
struct Lookup$1 {
    /// Stable ticket identifier, for example \`ABC-$1\`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
}
RUST
}

# A third is asynchronous: `async` or nothing.
asynchronous() { (($1 % 3 != 0)) || printf 'async '; }

body='format!("{ticket_id}: {comments} comments, {verbose}")'

# By hand, a function, what decodes its arguments, and an entry of a registry that names it.
function_by_hand() {
    local i=$1 schema=$2 kind=Blocking
    printf '%sfn lookup_%s(ticket_id: String, comments: u32, verbose: bool) -> String {\n    %s\n}\n' \
        "$(asynchronous "$i")" "$i" "$body"
    local decode="let Lookup$i { ticket_id, comments, verbose } = serde_json::from_str(arguments)?;"
    local call="lookup_$i(ticket_id, comments, verbose)"
    if ((i % 3 == 0)); then
        kind=Async
        cat <<RUST
fn call_$i(arguments: &str) -> entry::Future<'_> {
    Box::pin(async move {
        $decode
        Ok($call.await)
    })
}
RUST
    else
        cat <<RUST
fn call_$i(arguments: &str) -> Result<String, serde_json::Error> {
    $decode
    Ok($call)
}
RUST
    fi
    cat <<RUST
inventory::submit! {
    entry::Entry {
        name: "lookup_$i",
        description: "Look up ticket $i by its stable id.",
        schema: $schema,
        call: entry::Call::$kind(call_$i),
    }
}
RUST
}

entries() {
    local schema=$1
    cat <<RUST
#[allow(dead_code)]
mod entry {
    pub type Future<'a> =
        std::pin::Pin<Box<dyn std::future::Future<Output = Result<String, serde_json::Error>> + Send + 'a>>;
    pub enum Call {
        Async(for<'a> fn(&'a str) -> Future<'a>),
        Blocking(fn(&str) -> Result<String, serde_json::Error>),
    }
    pub struct Entry {
        pub name: &'static str,
        pub description: &'static str,
        pub schema: $schema,
        pub call: Call,
    }
    inventory::collect!(Entry);
}
async fn call(entry: &entry::Entry, arguments: &str) -> usize {
    let answer = match entry.call {
        entry::Call::Async(call) => call(arguments).await,
        entry::Call::Blocking(call) => call(arguments),
    };
    answer.map_or(0, |text| text.len())
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut size = 0;
    for entry in inventory::iter::<entry::Entry> {
        size += entry.name.len() + entry.description.len() + $2.to_string().len() + call(entry, "{}").await;
    }
    println!("{size}");
}
RUST
}

source_of() {
    local contender=$1 size=$2 i
    case $contender in
        ours)
            cat <<'RUST'
use codex_skills::{Draft, skill};
fn main() {
    println!("{}", Draft::new().discover().seal().map_or(0, |catalog| catalog.len()));
}
RUST
            for ((i = 0; i < size; i++)); do
                cat <<RUST
/// Look up ticket $i by its stable id.
#[skill]
$(asynchronous "$i")fn lookup_$i(
    /// Stable ticket identifier, for example \`ABC-$i\`.
    ticket_id: String,
    /// How many comments to include.
    comments: u32,
    /// Whether to tell everything.
    verbose: bool,
) -> String {
    $body
}
RUST
            done
            ;;
        rmcp)
            cat <<'RUST'
use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ServerHandler, ServiceExt as _, tool, tool_handler, tool_router};
#[derive(Clone)]
struct Server;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{}", Server::tool_router().list_all().len());
    let _ = Server.serve(tokio::io::duplex(64).0).await;
}
#[tool_handler]
impl ServerHandler for Server {}
RUST
            for ((i = 0; i < size; i++)); do
                arguments "$i" ', schemars::JsonSchema'
            done
            printf '#[tool_router]\nimpl Server {\n'
            for ((i = 0; i < size; i++)); do
                cat <<RUST
/// Look up ticket $i by its stable id.
#[tool]
$(asynchronous "$i")fn lookup_$i(&self, Parameters(Lookup$i { ticket_id, comments, verbose }): Parameters<Lookup$i>) -> String {
    $body
}
RUST
            done
            printf '}\n'
            ;;
        rig)
            cat <<'RUST'
use rig_core::tool::{ErasedTool, Tool, ToolContext};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut size = 0;
    for tool in tools() {
        let answer = tool.execute("{}".to_owned(), &mut ToolContext::new()).await;
        size += tool.description().len() + tool.parameters().to_string().len() + answer.output().as_json().map_or(0, |_| 1);
    }
    println!("{size}");
}
RUST
            printf 'fn tools() -> Vec<Box<dyn ErasedTool>> {\n    vec![\n'
            for ((i = 0; i < size; i++)); do
                printf '        Box::new(Tool%s),\n' "$i"
            done
            printf '    ]\n}\n'
            for ((i = 0; i < size; i++)); do
                arguments "$i" ', schemars::JsonSchema'
                cat <<RUST
struct Tool$i;
impl Tool for Tool$i {
    const NAME: &'static str = "lookup_$i";
    type Args = Lookup$i;
    type Output = String;
    type Error = std::convert::Infallible;
    fn description(&self) -> String {
        "Look up ticket $i by its stable id.".to_owned()
    }
    fn parameters(&self) -> serde_json::Value {
        schemars::schema_for!(Lookup$i).into()
    }
    async fn call(&self, _: &mut ToolContext, arguments: Lookup$i) -> Result<String, Self::Error> {
        let Lookup$i { ticket_id, comments, verbose } = arguments;
        Ok($body)
    }
}
RUST
            done
            ;;
        derived)
            entries 'fn() -> schemars::Schema' '(entry.schema)().as_value()'
            for ((i = 0; i < size; i++)); do
                arguments "$i" ', schemars::JsonSchema'
                function_by_hand "$i" "|| schemars::schema_for!(Lookup$i)"
            done
            ;;
        written)
            entries '&'"'"'static str' entry.schema
            for ((i = 0; i < size; i++)); do
                arguments "$i" ''
                function_by_hand "$i" 'r#"{"type":"object","properties":{"ticket_id":{"type":"string","description":"Stable ticket identifier, for example `ABC-'"$i"'`."},"comments":{"type":"integer","minimum":0,"description":"How many comments to include."},"verbose":{"type":"boolean","description":"Whether to tell everything."}},"required":["ticket_id","comments","verbose"],"additionalProperties":false}"#'
            done
            ;;
    esac
}

dependencies_of() {
    case $1 in
        ours) echo 'codex-skills.workspace = true' ;;
        rmcp) printf '%s.workspace = true\n' rmcp schemars serde tokio ;;
        rig) printf '%s.workspace = true\n' rig-core schemars serde serde_json tokio ;;
        derived) printf '%s.workspace = true\n' inventory schemars serde serde_json tokio ;;
        written) printf '%s.workspace = true\n' inventory serde serde_json tokio ;;
    esac
}

generate() {
    local contender size directory
    rm -rf "$crates"
    mkdir -p "$crates"
    cp "$benchmarks/Cargo.lock" "$crates/Cargo.lock"
    {
        printf '[workspace]\nresolver = "3"\nmembers = ["*"]\n\n'
        sed -n '/^\[workspace.dependencies\]/,/^$/p' "$benchmarks/Cargo.toml" |
            sed "s|\"\.\./codex-skills\"|\"$benchmarks/../codex-skills\"|; /^subject/d; /^plotters/d; /^toml/d; /^$/d"
        printf 'inventory = "0.3"\n\n[profile.release]\nstrip = true\n'
    } > "$crates/Cargo.toml"
    for contender in $contenders; do
        for size in $sizes; do
            directory=$crates/$contender-$size
            mkdir -p "$directory/src"
            printf '[package]\nname = "%s-%s"\nedition = "2024"\npublish = false\n\n[dependencies]\n' \
                "$contender" "$size" > "$directory/Cargo.toml"
            dependencies_of "$contender" >> "$directory/Cargo.toml"
            source_of "$contender" "$size" > "$directory/src/main.rs"
        done
    done
}

# --- Measuring --------------------------------------------------------------------------------------------------

command_of() {
    case $1 in
        check) echo check ;;
        debug | touch) echo build ;;
        release) echo 'build --release' ;;
    esac
}

# timed STEP CONTENDER SIZE: milliseconds of CPU time and on the clock, for building the crate alone.
timed() {
    local step=$1 package=$2-$3 begun seconds
    local TIMEFORMAT='%U %S %R'
    # shellcheck disable=SC2046
    seconds=$({ time cargo $(command_of "$step") --quiet --manifest-path "$crates/Cargo.toml" -j1 -p "$package" 2>&3; } 3>&2 2>&1)
    awk -v what="$step $2 $3" '{ printf "%s %.0f %.0f\n", what, ($1 + $2) * 1000, $3 * 1000 }' <<< "$seconds"
}

build() {
    # shellcheck disable=SC2046
    cargo $(command_of "$1") --quiet --manifest-path "$crates/Cargo.toml" -p "$2"
}

measure() {
    local repetition step size contender largest source line
    largest=$(printf '%s\n' $sizes | sort -n | tail -1)
    touch "$times"
    for step in $steps; do
        # Of the steps that are not measured now, what was measured before is kept.
        sed -i "/^$step /d" "$times"
        [[ $step != release ]] || sed -i '/^size /d' "$times"
        [[ $step != library ]] || continue
        for contender in $contenders; do
            # The dependencies, and where a rebuild is incremental the state that it begins with.
            if [[ $step == touch ]]; then
                CARGO_INCREMENTAL=1 build "$step" "$contender-$largest"
            else
                build "$step" "$contender-${sizes%% *}"
            fi
        done
        for ((repetition = 1; repetition <= repetitions; repetition++)); do
            for size in $sizes; do
                [[ $step != touch || $size == "$largest" ]] || continue
                for contender in $contenders; do
                    source=$crates/$contender-$size/src/main.rs
                    touch "$source"
                    if [[ $step == touch ]]; then
                        # The body of one function: the last one.
                        line=$(grep -n '{verbose}"' "$source" | tail -1 | cut -d: -f1)
                        sed -i "${line}s/ comments/ more&/" "$source"
                        CARGO_INCREMENTAL=1 timed "$step" "$contender" "$size"
                    else
                        timed "$step" "$contender" "$size"
                    fi | tee -a "$times"
                    if [[ $step == release ]]; then
                        echo "size $contender $size $(wc -c < "$CARGO_TARGET_DIR/release/$contender-$size")" >> "$times"
                    fi
                done
            done
        done
    done
}

# The library from nothing, with all jobs: seconds on the clock and of CPU time.
library() {
    local features name target=$CARGO_TARGET_DIR/library
    local TIMEFORMAT='%R %U %S'
    for name in embedded everything; do
        features=$name
        [[ $name == embedded ]] || features=app-server,manager,embedded,blocking,validation
        rm -rf "$target"
        { time CARGO_TARGET_DIR=$target cargo build --quiet --manifest-path "$benchmarks/../Cargo.toml" -p codex-skills \
            --no-default-features --features "$features" 2>&3; } 3>&2 2>&1 |
            awk -v what="library $name 0" '{ printf "%s %.0f %.0f\n", what, ($2 + $3) * 1000, $1 * 1000 }' | tee -a "$times"
    done
    rm -rf "$target"
}

# --- The table --------------------------------------------------------------------------------------------------

least() { awk -v step="$1" -v contender="$2" -v size="$3" -v column="$4" '
    $1 == step && $2 == contender && $3 == size && (least == "" || $column < least) { least = $column }
    END { print least }' "$times"; }

# per_skill STEP CONTENDER COLUMN DIVISOR
per_skill() {
    local least most
    least=$(printf '%s\n' $sizes | sort -n | head -1)
    most=$(printf '%s\n' $sizes | sort -n | tail -1)
    awk -v few="$(least "$1" "$2" "$least" "$3")" -v many="$(least "$1" "$2" "$most" "$3")" \
        -v skills=$((most - least)) -v divisor="$4" \
        'BEGIN { if (few == "" || many == "" || skills == 0) print "–"; else printf "%.1f", (many - few) / skills / divisor }'
}

report() {
    local contender step most cells
    most=$(printf '%s\n' $sizes | sort -n | tail -1)
    printf '## Compiling\n\n'
    printf 'What one more skill costs, from crates of %s skills each; milliseconds of CPU time (on the clock), ' "${sizes// /, }"
    printf 'the least of %s. A skill takes a text, a number and a flag, with a description each; a third are asynchronous. ' "$repetitions"
    printf 'One job, not incremental, dependencies built before. The last column is what a change of one body costs a debug build of %s skills, incrementally.\n\n' "$most"
    printf '| | check | debug | release | stripped size, kB | one of %s changed |\n|---|---:|---:|---:|---:|---:|\n' "$most"
    for contender in $contenders; do
        printf '| %s |' "${titles[$contender]}"
        for step in check debug release; do
            printf ' %s (%s) |' "$(per_skill "$step" "$contender" 4 1)" "$(per_skill "$step" "$contender" 5 1)"
        done
        cells=$(least touch "$contender" "$most" 4)
        printf ' %s | %s (%s) |\n' "$(per_skill size "$contender" 4 1000)" "${cells:-–}" "$(least touch "$contender" "$most" 5)"
    done
    if grep -q '^library' "$times"; then
        printf '\n| the library and all below it, from nothing | seconds of CPU time | on the clock |\n|---|---:|---:|\n'
        for step in embedded everything; do
            awk -v name="$step" '$1 == "library" && $2 == name {
                printf "| %s | %.0f | %.0f |\n", name == "embedded" ? "`embedded` alone" : "all features", $4 / 1000, $5 / 1000
            }' "$times"
        done
    fi
}

generate
measure
if [[ " $steps " == *' library '* ]]; then library; fi
mkdir -p parts
report | tee parts/compile.md
