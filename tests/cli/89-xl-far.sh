#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to xl+ssh:// without a host: an ssh that runs the command here, and one behind which somebody says what no pvimg
# says. (A real sshd, broken connections and domains: tests/publish/60-xl-ssh.sh.)
set -eu
fail() {
	echo "$*"
	exit 1
}
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
cd "$TMP"
mkdir bin a b far
python3 - <<'PY'
M = 1 << 20
disk = bytearray(16 * M)
disk[5 * M:5 * M + 9] = b"something"
disk[13 * M:13 * M + 3] = b"end"
open("a/img.raw", "wb").write(disk)
disk[13 * M:13 * M + 3] = bytes(3)
disk[M] = 1
open("b/img.raw", "wb").write(disk)
PY
# $FAR: what the far side does
cat >bin/ssh <<'END'
#!/bin/sh
echo "$*" >>"$LOG"
for command; do :; done
case $FAR in
here) exec sh -c "$command" ;;
*) exec sh -c "$FAR" ;;
esac
END
chmod 755 bin/ssh
PATH=$TMP/bin:$PATH LOG=$TMP/log FAR=here
export PATH LOG FAR
: >log
publish() {
	RC=0
	timeout 60 "$PVIMG" publish "./$1/img.raw" --to "xl+ssh://root@host:2222$TMP/far" --unverified --json >result 2>out || RC=$?
}
good() {
	publish "$1"
	[ "$RC" -eq 0 ] || fail "$1: exit status $RC: $(cat out)"
	cmp "$1/img.raw" "far/img-$(sha256sum "$1/img.raw" | cut -c1-12).raw" || fail "$1: is another there"
	grep -q "target=$TMP/far/img-$(sha256sum "$1/img.raw" | cut -c1-12).raw" far/img.cfg || fail "$1: $(cat far/img.cfg)"
}
good a
grep -q '"sent": 524288,' result || fail "two units of 256 KiB have data: $(cat result)"
good b
# block 0 has one, block 3 has none any more
grep -q '"sent": 262144,' result || fail "one unit of 256 KiB is new: $(cat result)"
good b
grep -q '"already": true' result || fail "twice: $(cat result)"
grep -q -e '-oBatchMode=yes.*-oStrictHostKeyChecking=yes.*-p 2222 -l root -- host exec sh -c ' log || fail "ssh's words: $(head -c 500 log)"

# says TEXT COMMAND: the far side is that
says() {
	FAR=$2
	publish a
	{ [ "$RC" -eq 6 ] && tail -n 1 out | grep -q -e "$1"; } || fail "$2: exit status $RC: $(tail -c 400 out)"
	! grep -q "$(printf '\033')" out || fail "$2: its control characters reach the terminal"
}
hello='echo motd; echo "= ok pvimg 1"; '
says 'ended too soon (exit code 3): no such shell' 'echo no such shell >&2; exit 3'
says 'not known here' 'echo Host key verification failed. >&2; exit 255'
says 'something else than' 'echo "= ok hello"'
says 'as today' 'printf "= error \033[31mas today\n"; exit 1'
says 'talks without end' 'yes'
says 'a line without end' 'yes | tr -d "\n"'
says 'ended too soon' "$hello exit 0"
says 'fewer blocks' "$hello"'echo "= ok"; echo "= ok none"; echo "= ok resumed"; echo "= ok"; echo "= ok"; cat >/dev/null'
says 'more blocks' "$hello"'echo "= ok"; echo "= ok none"; echo "= ok resumed"; echo "= ok"; yes "'"$(printf %064d 0)"'  -"'
says 'gave no digest' "$hello"'echo "= ok"; echo "= ok there"; printf "%064d  -\n= ok\n" 0 | tr 0 z; cat >/dev/null'
rm far/*
# a far side that lies about what came to be
FAR="$hello"'echo "= ok"; echo "= ok none"; echo "= ok empty"; echo "= ok"; echo "= ok"; printf "%064d  -\n= ok\n= ok\n" 0; cat >/dev/null'
publish a
{ [ "$RC" -eq 1 ] && grep -q 'is not this image' out; } || fail "a wrong digest: exit status $RC: $(cat out)"
