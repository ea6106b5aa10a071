#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pvimg publish to xl+ssh://: a real sshd on loopback with its own host key and, as root, a user made for it; a proxy that breaks
# connections; an xl that only pretends (tests/ssh/xl) for domains. Whatever happens, the folder holds the old image or the new
# one, whole.
# time limit: 900
set -eu
HERE=$PWD
fail() {
	echo "$*"
	exit 1
}
PATH=$PATH:/usr/sbin:/sbin
for tool in sshd ssh ssh-keygen python3; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
# the far user has to get there; in memory, where programs may run there, since every image is synced
for base in /dev/shm /var/tmp; do
	TMP=$(mktemp -d $base/pvimg-ssh.XXXXXX) || continue
	printf '#!/bin/sh\n' >"$TMP/runs"
	chmod 755 "$TMP/runs"
	! "$TMP/runs" 2>/dev/null || break
	rm -r "$TMP"
done
chmod 755 "$TMP"
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
cd "$TMP"

# --- images: b is a with one block changed and one made zeros, c another ---
mkdir a b c
python3 - <<'PY'
import random
M = 1 << 20
r = random.Random(7)
disk = bytearray(48 * M)
for at in (0, 5, 17, 44):
    disk[at * M + 777:at * M + 777 + 2 * M] = r.randbytes(2 * M)
open("a/img.raw", "wb").write(disk)
disk[1000] ^= 1
disk[16 * M:20 * M] = bytes(4 * M)
open("b/img.raw", "wb").write(disk)
disk[45 * M] ^= 1
open("c/img.raw", "wb").write(disk)
PY
A=a/img.raw B=b/img.raw C=c/img.raw
digest() { sha256sum "$1" | cut -d' ' -f1; }
disk_of() { printf 'img-%.12s.raw' "$(digest "$1")"; }

# --- the host ---
if [ "$(id -u)" -eq 0 ]; then
	FAR=pvfar$$
	useradd --no-create-home --home-dir "$TMP/home" --password '*' --shell /bin/sh "$FAR"
	mkdir -p /run/sshd
else
	FAR=$(id -un)
fi
mkdir home far bin fake sshd
ln -s "$HERE/tests/ssh/xl" bin/xl
cp "$HERE/tests/ssh/xl" bin/xl.real && mv bin/xl.real bin/xl
echo connected >fake/mode
[ "$(id -u)" -ne 0 ] || chown "$FAR" home far fake
ssh-keygen -q -t ed25519 -N '' -f sshd/host
ssh-keygen -q -t ed25519 -N '' -f sshd/other
ssh-keygen -q -t ed25519 -N '' -f key
ssh-keygen -q -t ed25519 -N '' -f wrong-key
cp key.pub authorized
SSHD=
PROXY=
MOUNTED=
finish() {
	[ -z "$SSHD" ] || kill "$SSHD" 2>/dev/null || :
	[ -z "$PROXY" ] || kill "$PROXY" 2>/dev/null || :
	[ -z "$MOUNTED" ] || umount "$MOUNTED" || :
	if [ "$(id -u)" -eq 0 ]; then
		pkill -KILL -u "$FAR" 2>/dev/null || :
		userdel "$FAR" 2>/dev/null || :
	fi
	cd /
	rm -rf "$TMP"
}
trap finish EXIT
trap 'exit 1' INT TERM

# begin_sshd PATH: on a port of its own, with this PATH for what it runs
begin_sshd() {
	[ -z "$SSHD" ] || { kill "$SSHD"; wait "$SSHD" 2>/dev/null || :; }
	[ -n "${PORT-}" ] || PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >sshd/config <<END
Port $PORT
ListenAddress 127.0.0.1
HostKey $TMP/sshd/host
PidFile none
AuthorizedKeysFile $TMP/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
SetEnv PATH=$1 FAKE=$TMP/fake
END
	"$(command -v sshd)" -D -f "$TMP/sshd/config" -E "$TMP/sshd/log" &
	SSHD=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		! ssh-keyscan -p "$PORT" 127.0.0.1 2>/dev/null | grep -q . || return 0
		sleep 0.3
	done
	fail "sshd does not start: $(cat sshd/log)"
}
begin_sshd "$TMP/bin:/usr/bin:/bin"
python3 "$HERE/tests/ssh/proxy.py" 0 "$PORT" "$TMP" &
PROXY=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	[ ! -s proxy.port ] || break
	sleep 0.2
done

# the user's own ssh, but for his files
mkdir ours
cat >ours/ssh <<END
#!/bin/sh
exec $(command -v ssh) -F "$TMP/ssh_config" "\$@"
END
chmod 755 ours/ssh
PATH=$TMP/ours:$PATH
cat >ssh_config <<END
Host *
	IdentityFile $TMP/key
	IdentitiesOnly yes
	UserKnownHostsFile $TMP/known_hosts
	GlobalKnownHostsFile /dev/null
	HostKeyAlias far
	User $FAR
END
printf 'far %s\n' "$(cut -d' ' -f1,2 sshd/host.pub)" >known_hosts
TO=xl+ssh://127.0.0.1:$PORT$TMP/far
SLOW=xl+ssh://127.0.0.1:$(cat proxy.port)$TMP/far

# publish IMAGE [OPTION...]: what it says in out and its result in result, its exit code in RC
publish() {
	image=$1
	shift
	RC=0
	"$PVIMG" publish "./$image" --to "$TO" --unverified --json "$@" >result 2>out || RC=$?
}
good() {
	publish "$@"
	[ "$RC" -eq 0 ] || fail "publish $*: exit status $RC: $(cat out)"
}
# bad CODE TEXT IMAGE [OPTION...]
bad() {
	code=$1 text=$2
	shift 2
	publish "$@"
	[ "$RC" -eq "$code" ] || fail "publish $*: exit status $RC, expected $code: $(cat out)"
	tail -n 1 out | grep -q -e "$text" || fail "publish $*: no word of '$text': $(cat out)"
}
# until_true COMMAND...: waits for it, half a minute at most
until_true() {
	i=0
	until "$@" || [ "$i" -ge 100 ]; do
		i=$((i + 1))
		sleep 0.3
	done
}
result() { sed -n "s/^ *\"$1\": \(.*[^,]\),*\$/\1/p" result; }
# holds IMAGE [FOLDER]: the configuration names it, it is whole, and nothing of a name is half
holds() {
	where=${2-$TMP/far}
	disk=$(sed -n 's/^disk = .*target=\(.*\)" \]$/\1/p' "$where/img.cfg")
	[ "$disk" = "$where/$(disk_of "$1")" ] || fail "the configuration names $disk, not $1"
	cmp "$1" "$disk" || fail "$disk is not $1"
	for file in "$where"/img-????????????.raw; do
		[ "${file#"$where"/}" = "$(printf 'img-%.12s.raw' "$(digest "$file")")" ] || fail "$file is not what its name says"
	done
	(cd "$where" && sha256sum --quiet -c ./*.sha256) || fail "a digest is wrong"
}
images() { find "$TMP/far" -name 'img-*.raw' | wc -l; }
fresh() { find "$TMP/far" "$TMP/fake/domain" -mindepth 0 -type f -delete 2>/dev/null || :; }

# --- what works ---
good "$A"
holds "$A"
whole=$(result sent)
{ [ "$whole" -ge 8388608 ] && [ "$whole" -le 11534336 ]; } || fail "8 MiB are no zeros, $whole bytes were sent"
[ "$(du -k "far/$(disk_of "$A")" | cut -f1)" -lt 14000 ] || fail "zeros take room there"
good "$A"
[ "$(result already) $(result sent)" = "true 0" ] || fail "published twice: $(cat result)"
good "$B"
holds "$B"
[ "$(result sent)" -le 4194304 ] || fail "one block changed, $(result sent) bytes were sent"
[ "$(result removed) $(images)" = "1 1" ] || fail "the older one is there: $(ls far)"
grep -q "\"id\": \"$(disk_of "$B")\"" b/publish.json || fail "publish.json: $(cat b/publish.json)"

# damaged there: made anew from what is good of it, and what was in its place is kept
printf X | dd of="far/$(disk_of "$B")" bs=1 seek=5 conv=notrunc status=none
good "$B"
holds "$B"
{ [ "$(result already)" = false ] && [ "$(result sent)" -le 4194304 ]; } || fail "damaged: $(cat result)"
[ -e "far/img-$(digest "$B" | cut -c1-12).changed-1.raw" ] || fail "what a guest wrote is gone: $(ls far)"
fresh

# --- versions ---
good "$A" --keep 2
good "$B" --keep 2
[ "$(images)" -eq 2 ] || fail "--keep 2: $(ls far)"
good "$C" --keep 2
{ [ "$(images)" -eq 2 ] && [ ! -e "far/$(disk_of "$A")" ]; } || fail "--keep 2: $(ls far)"
good "$B" --keep 2
[ "$(result already)" = true ] || fail "an older one that is there: $(cat result)"
holds "$B"
# used by another configuration, by a program, by a domain; written to: all stay
sed 's/img/other/' far/img.cfg >far/other.cfg
good "$C"
[ -e "far/$(disk_of "$B")" ] || fail "the disk of other.cfg was removed"
grep -q 'other.cfg' out || fail "why it stays: $(cat out)"
rm far/other.cfg
good "$C"
[ "$(images)" -eq 1 ] || fail "nobody uses it: $(ls far)"
good "$A" --start
holds "$A"
[ -f fake/domain ] || fail "--start: $(cat fake/calls)"
good "$A"
[ "$(result already)" = true ] || fail "the disk of a domain: $(cat result)"
good "$B"
[ -e "far/$(disk_of "$A")" ] || fail "a running domain's disk was removed"
grep -q 'a running domain' out || fail "why it stays: $(cat out)"
rm -f fake/domain
if [ "$(id -u)" -eq 0 ]; then
	su -s /bin/sh "$FAR" -c "exec sleep 60 <'$TMP/far/$(disk_of "$A")'" &
	held=$!
	held_open() { pgrep -u "$FAR" -x sleep >/dev/null; }
	until_true held_open
	good "$B"
	[ -e "far/$(disk_of "$A")" ] || fail "an open disk was removed"
	kill "$held"
	pkill -u "$FAR" sleep || :
	wait "$held" 2>/dev/null || :
fi
sleep 0.1
touch "far/$(disk_of "$A")"
good "$B"
{ grep -q 'written to by a guest' out && [ -e "far/$(disk_of "$A")" ]; } || fail "a disk with a guest's data was removed: $(cat out)"
fresh

# --- domains ---
good "$A" --start
bad 6 'a domain img runs there already' "$B" --start
[ ! -e "far/$(disk_of "$B")" ] || fail "sent before it was known that it cannot start"
rm -f fake/domain
for mode in refused waiting ended; do
	echo $mode >fake/mode
	bad 6 'no memory\|did not answer within 2 s\|ended before' "$A" --start --deadline 2
	[ ! -e fake/domain ] || fail "$mode: the domain is left"
	holds "$A"
done
echo connected >fake/mode
: >fake/watch
good "$B" --start
good "$A"
! grep -q 'somebody else' out || fail "xl's watcher of the domain, which lives on, holds our lock"
rm -f fake/domain fake/watch
[ "$(id -u)" -ne 0 ] || pkill -u "$FAR" sleep || :
mv bin/xl bin/no-xl
bad 6 'there is no xl' "$B" --start
good "$B"
mv bin/no-xl bin/xl
echo waiting >fake/mode
"$PVIMG" publish "./$B" --to "$TO" --unverified --start >/dev/null 2>out &
run=$!
until_true test -f fake/domain
kill -INT "$run"
RC=0
wait "$run" || RC=$?
[ "$RC" -eq 130 ] || fail "SIGINT: exit status $RC: $(cat out)"
until_true test ! -f fake/domain
[ ! -f fake/domain ] || fail "SIGINT: the domain is left"
holds "$B"
! grep BAD fake/calls || fail "calls that xl would refuse"

# --- words ---
hostile="$TMP/far/it's \$(touch gone) ; \`id\` [x]* é"
mkdir "$hostile"
[ "$(id -u)" -ne 0 ] || chown "$FAR" "$hostile"
DIRECT=$TO
TO="xl+ssh://127.0.0.1:$PORT$hostile"
good "$A"
good "$B"
holds "$B" "$hostile"
[ "$(find "$TMP" -name gone)" = "" ] || fail "a word became a command"
TO=$DIRECT/nowhere
bad 6 'no such folder there' "$A"
TO=$DIRECT%0Ax
bad 2 'control characters' "$A"
TO=$DIRECT
if [ "$(id -u)" -eq 0 ]; then
	mkdir closed
	TO=xl+ssh://127.0.0.1:$PORT$TMP/closed
	bad 6 'cannot be written to' "$A"
	TO=$DIRECT
fi

# --- keys ---
cp known_hosts good_hosts
: >known_hosts
bad 6 'its host key is not known here' "$A"
[ ! -s known_hosts ] || fail "a host key was accepted"
printf 'far %s\n' "$(cut -d' ' -f1,2 sshd/other.pub)" >known_hosts
bad 6 'somebody may listen in' "$A"
cp good_hosts known_hosts
cp wrong-key.pub authorized
bad 6 'does not let us in' "$A"
cp key.pub authorized
holds "$B"

# --- connections that break ---
rm -rf "$hostile"
fresh
TO=$SLOW
good "$C"
least=$(result sent)
is=$A
for tenth in 0 1 2 3 4 5 6 7 8 9; do
	rm -f far/img-*	# all of it has to be sent
	echo $((least * tenth / 10)) >"$TMP/cut"
	good "$is"
	{ [ ! -e cut ] && [ "$(result tries)" -eq 2 ]; } || fail "cut after $tenth tenths: $(cat result)"
	[ "$(result sent)" -lt $((whole + 6 * 1048576)) ] || fail "cut after $tenth tenths: $(result sent) bytes were sent"
	holds "$is"
	if [ "$is" = "$C" ]; then is=$A; else is=$C; fi
done
good "$B"
echo 100000 >always
# four breaks without a word of progress are waited for too long here: the interrupt ends it
"$PVIMG" publish "./$A" --to "$TO" --unverified >/dev/null 2>out &
run=$!
until_true grep -q 'trying again' out
kill -TERM "$run"
RC=0
wait "$run" || RC=$?
{ [ "$RC" -eq 143 ] && grep -q 'trying again' out; } || fail "breaks: exit status $RC: $(cat out)"
rm always
holds "$B"

# --- an interrupt while it is sent: nothing runs there, what was sent is not sent again ---
fresh
touch slow
"$PVIMG" publish "./$C" --to "$TO" --unverified >/dev/null 2>out &
run=$!
half_sent() { [ "$(du -k "far/.$(disk_of "$C").part" 2>/dev/null | cut -f1)" -ge 4096 ] 2>/dev/null; }
until_true half_sent
kill -INT "$run"
RC=0
wait "$run" || RC=$?
[ "$RC" -eq 130 ] || fail "SIGINT: exit status $RC: $(cat out)"
[ ! -e far/img.cfg ] || fail "SIGINT: a configuration of nothing"
rm slow
nothing_runs() { [ -z "$(pgrep -f "pvimg $TMP/far img")" ]; }
until_true nothing_runs
nothing_runs || fail "SIGINT: the far side still runs"
good "$C"
[ "$(result sent)" -lt 5000000 ] || fail "resumed: $(result sent) bytes were sent"
holds "$C"

# --- an image that is written to while it is sent ---
fresh
good "$C"
mkdir d
cp "$A" d/img.raw
touch slow
"$PVIMG" publish ./d/img.raw --to "$TO" --unverified >/dev/null 2>out &
run=$!
until_true grep -q sending out
printf x | dd of=d/img.raw bs=1 seek=47000000 conv=notrunc status=none
rm slow
RC=0
wait "$run" || RC=$?
{ [ "$RC" -eq 1 ] && grep -q 'was changed while it was published' out; } || fail "a changed image: exit status $RC: $(cat out)"
holds "$C"
[ -z "$(find far -name '*.part')" ] || fail "a changed image: $(ls -A far)"

# --- two at once ---
touch slow
"$PVIMG" publish "./$A" --to "$TO" --unverified >/dev/null 2>other &
other=$!
until_true test -e "far/.$(disk_of "$A").part"
TO=$DIRECT
good "$B"
grep -q 'somebody else publishes' out || fail "two at once: $(cat out)"
rm slow
wait "$other" || fail "two at once: $(cat other)"
holds "$B"

# --- a full disk ---
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=14m,mode=777 tmpfs small 2>/dev/null; then
	MOUNTED=$TMP/small
	TO=xl+ssh://127.0.0.1:$PORT$TMP/small
	good "$A"
	python3 -c 'import random; open("c/img.raw", "wb").write(random.Random(1).randbytes(16 << 20))'
	bad 6 'No space left' "$C"
	holds "$A" "$TMP/small"
	[ -z "$(find small -name '*.part')" ] || fail "a full disk: $(ls -A small)"
	TO=$DIRECT
fi

# --- a host with no more than what is said to be needed ---
mkdir few
for tool in cat chmod cp dd find grep head ls mkdir mv rm sed sha256sum stat sync tail touch truncate; do
	ln -s "$(command -v $tool)" few/
done
ln -s "$(command -v bash)" few/sh
fresh
begin_sshd "$TMP/few"
good "$A"
good "$B"
holds "$B"
[ "$(result sent)" -le 4194304 ] || fail "a host without split: $(result sent) bytes were sent"
[ -z "$(find far -name '*.lock.d')" ] || fail "the lock is left"
