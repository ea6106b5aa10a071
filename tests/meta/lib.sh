# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by the meta checks: which files are the project's, and counting faults.

faults=0

fault() {
	printf '%s\n' "$*"
	faults=$((faults + 1))
}

# Ends the check.
verdict() {
	[ "$faults" -eq 0 ] || { echo "$faults faults"; exit 1; }
	exit 0
}

# All files of the project, one a line: what git has or would take, else all but out/.
project_files() {
	if git ls-files -co --exclude-standard >"$TMP/files" 2>/dev/null && [ -s "$TMP/files" ]; then
		while IFS= read -r f; do
			[ ! -f "$f" ] || printf '%s\n' "$f"
		done <"$TMP/files"
	else
		find . \( -path ./out -o -path ./.git \) -prune -o -type f -print | sed 's,^\./,,'
	fi | sort
}

# Those that are shell programs, by name or first line.
shell_files() {
	project_files | while IFS= read -r f; do
		case $f in
		*.sh) printf '%s\n' "$f" ;;
		*.[ch]|*.yaml|*.json|*.md) ;;
		*)
			if head -n 1 "$f" | tr -d '\000' | grep -qE '^#! ?(/usr)?/bin/(env )?(ba|da)?sh( |$)'; then
				printf '%s\n' "$f"
			fi ;;
		esac
	done
}
