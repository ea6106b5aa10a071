#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make install: everything in its place below DESTDIR and PREFIX, the installed program finds its recipes, the man
# pages render without a warning, the completions complete.
set -eu
# shellcheck source=tests/cli/plain.sh
. tests/cli/plain.sh

# a copy: the program's own idea of its data changes with PREFIX, and out/ is the build's
prefix="$TMP/it's the prefix"
mkdir -p "$TMP/src/out"
cp -R builder recipes overlays scripts man completion Makefile "$TMP/src/"
[ ! -d out/obj ] || cp -R out/obj "$TMP/src/out/"
rm -rf "$TMP/src/out/obj/unit" "$TMP/src/out/obj/fuzz"
umask 077
(cd "$TMP/src" && make -s install PREFIX=/opt/pvimg DESTDIR="$TMP/stage" >"$TMP/make.log" 2>&1) ||
	fail "make install: $(tail -n 5 "$TMP/make.log")"
D=$TMP/stage/opt/pvimg
for file in bin/pvimg share/pvimg/recipes/ubuntu-2g.yaml share/pvimg/recipes/base/debian.yaml share/pvimg/overlays/base/OWNERS \
	share/man/man1/pvimg.1 share/man/man5/pvimg-recipe.5 share/bash-completion/completions/pvimg \
	share/zsh/site-functions/_pvimg; do
	[ -s "$D/$file" ] || fail "$file is not installed"
done
for place in recipes overlays scripts; do
	diff -r --no-dereference "$place" "$D/share/pvimg/$place" >"$TMP/diff" || fail "$place: $(head -n 3 "$TMP/diff")"
done
[ "$(find "$TMP/stage/opt" ! -path "$TMP/stage/opt" ! -perm -go+r | head -n 1)" = "" ] || fail "not all can read what is installed"
strings -a "$D/bin/pvimg" 2>/dev/null | grep -qx /opt/pvimg/share/pvimg || fail "the program has another data folder"

# into a real prefix, with a path like a person's
(cd "$TMP/src" && make -s install PREFIX="$TMP/inst" >"$TMP/make.log" 2>&1) || fail "make install: $(tail -n 5 "$TMP/make.log")"
"$PVIMG" list >"$TMP/wanted"
(cd / && "$TMP/inst/bin/pvimg" list) >"$TMP/found" || fail "the installed program does not list its recipes"
cmp -s "$TMP/wanted" "$TMP/found" || fail "the installed program lists other recipes"
rm -rf "$TMP/src" "$TMP/inst/share/pvimg/recipes/ubuntu-4g.yaml"
[ "$("$TMP/inst/bin/pvimg" list | wc -l)" -eq $(($(wc -l <"$TMP/wanted") - 1)) ] || fail "it reads recipes of another place"
mkdir -p "${prefix%/*}"
mv "$TMP/inst" "$prefix"
rc=0
"$prefix/bin/pvimg" list >/dev/null 2>"$TMP/err" || rc=$?
[ "$rc" -eq 3 ] || fail "moved away: exit code $rc"
grep -q "$TMP/inst/share/pvimg/recipes" "$TMP/err" || fail "moved away: $(cat "$TMP/err")"

# man pages
plain() { sed "s/.$(printf '\b')//g; s/$(printf '\033')\[[0-9;]*m//g"; }
looked=
if command -v mandoc >/dev/null; then
	for page in man/*; do
		# no renderer knows our other page; long lines are the source's affair
		mandoc -Tlint -Wwarning "$page" >"$TMP/lint" 2>&1 || :
		[ ! -s "$TMP/lint" ] || fail "$(cat "$TMP/lint")"
		mandoc -Tutf8 "$page" | plain >"$TMP/${page##*/}.txt"
	done
	looked=yes
fi
if command -v groff >/dev/null; then
	for page in man/*; do
		groff -wall -z -K utf8 -mandoc -Tutf8 "$page" >"$TMP/lint" 2>&1 || :
		[ ! -s "$TMP/lint" ] || fail "$page: $(cat "$TMP/lint")"
		[ -n "$looked" ] || groff -K utf8 -mandoc -Tutf8 "$page" | plain >"$TMP/${page##*/}.txt"
	done
	looked=yes
fi
if [ -n "$looked" ]; then
	grep -q 'pvimg build' "$TMP/pvimg.1.txt" || fail "pvimg(1) shows no pvimg build"
	# every key that a recipe may have is documented
	for key in base kind distribution suite flavor.memory flavor.vcpus flavor.disk mirror image-mirror security keyring \
		trusted-keys components packages overlays hostname; do
		grep -Eq "^ +$key( |$)" "$TMP/pvimg-recipe.5.txt" || fail "pvimg-recipe(5) has no $key"
	done
else
	echo "neither mandoc nor groff: man pages were not rendered"
fi

# completion
if command -v bash >/dev/null; then
	PATH="${PVIMG%/*}:$PATH" bash -c '
		. completion/pvimg.bash
		complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pvimg; echo "${COMPREPLY[*]}"; }
		complete_words pvimg bu
		complete_words pvimg build debian-2
		complete_words pvimg build debian-2g --mir
		complete_words pvimg plan debian-2g --suite boo
		complete_words pvimg plan --exp' >"$TMP/completed"
	printf '%s\n' build debian-2g --mirror bookworm --explain >"$TMP/wanted"
	diff "$TMP/wanted" "$TMP/completed" || fail "bash completion"
fi
if command -v zsh >/dev/null; then
	zsh -n completion/_pvimg || fail "zsh completion"
	# an interactive zsh on a terminal of its own, where Control-G writes down the line as it stands
	mkdir -p "$TMP/zsh"
	cat >"$TMP/type.zsh" <<'EOF'
zmodload zsh/zpty
zpty z "env -i PATH=${(q)1}:$PATH HOME=${(q)2} TERM=dumb zsh -f -i"
zpty -w z "fpath=(${(q)PWD}/completion \$fpath); autoload -U compinit; compinit -u -d ${(q)2}/dump"
zpty -w z "note() { print -r -- \$BUFFER >>${(q)2}/lines; BUFFER= }; zle -N note; bindkey '^G' note; bindkey '^I' expand-or-complete"
n=0
for line in 'pvimg bu' 'pvimg build debian-2' 'pvimg build debian-2g --mir' 'pvimg plan debian-2g --suite boo' 'pvimg plan --exp'; do
	zpty -n -w z "$line"$'\t\a'
	((n++))
	for ((i = 0; i < 200; i++)); do
		while zpty -r -t z piece; do :; done
		[[ $(wc -l 2>/dev/null <$2/lines) -lt $n ]] || break
		sleep 0.1
	done
done
zpty -d z
EOF
	zsh -f "$TMP/type.zsh" "${PVIMG%/*}" "$TMP/zsh" >/dev/null 2>&1 || :
	sed 's/ $//; s/.* //' "$TMP/zsh/lines" >"$TMP/completed" 2>/dev/null || :
	printf '%s\n' build debian-2g --mirror bookworm --explain | diff - "$TMP/completed" || fail "zsh completion"
fi
