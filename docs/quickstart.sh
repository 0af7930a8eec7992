#!/usr/bin/env bash
# Writes quickstart.svg: what `cargo run --bin quickstart` prints, as a picture of a terminal.
# With `--check`, says whether the picture is up to date instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

picture() {
    cargo run --quiet --bin quickstart |
        # Each session has an id of its own.
        sed -E 's/session [0-9a-f]{8}-[0-9a-f-]{27}/session 0197f3a2…/' |
        LC_ALL=C awk -v columns=100 '
            function escaped(text) {
                gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
                return text
            }
            # A line of the terminal, its label in a colour of its own.
            function line(label, rest) {
                y = 48 + 20 * count++
                body = body sprintf("<text xml:space=\"preserve\" x=\"18\" y=\"%d\"><tspan class=\"label\">%s</tspan>%s</text>\n", y, escaped(label), escaped(rest))
            }
            # Where a line is too long, the last blank or comma before its end.
            function fits(text, room,    at) {
                if (length(text) <= room) return length(text)
                for (at = room; at > room / 2; at--) if (substr(text, at, 1) ~ /[ ,]/) return at
                return room
            }
            BEGIN { line("$ ", "cargo run --bin quickstart") }
            {
                label = match($0, /^[a-z]+ +/) ? substr($0, 1, RLENGTH) : ""
                rest = substr($0, length(label) + 1)
                do {
                    at = fits(rest, columns - length(label))
                    line(label, substr(rest, 1, at))
                    rest = substr(rest, at + 1)
                    label = "          "
                } while (rest != "")
            }
            END {
                width = 36 + 8.4 * columns; height = 44 + 20 * count
                printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", width, height, width, height
                print "<title>What the quickstart prints</title>"
                print "<style>text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre } .label { fill: #7ee787 }</style>"
                printf "<rect width=\"%d\" height=\"%d\" rx=\"10\" fill=\"#0d1117\"/>\n", width, height
                print "<circle cx=\"22\" cy=\"18\" r=\"6\" fill=\"#ff5f57\"/><circle cx=\"42\" cy=\"18\" r=\"6\" fill=\"#febc2e\"/><circle cx=\"62\" cy=\"18\" r=\"6\" fill=\"#28c840\"/>"
                printf "%s</svg>\n", body
            }'
}

if [[ ${1-} == --check ]]; then
    diff <(picture) quickstart.svg || {
        echo 'docs/quickstart.svg is not what the quickstart prints: run docs/quickstart.sh'
        exit 1
    }
else
    drawn=$(picture)
    printf '%s\n' "$drawn" >quickstart.svg
fi
