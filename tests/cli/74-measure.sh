#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What dom0 measures with: a file fetched from a server that may lie or break off, exits counted from xentrace's records.
set -eu
# shellcheck source=tests/cli/plain.sh
. tests/cli/plain.sh

# serve ANSWER: one connection's answer (printf's format); sets $port
serve() {
	rm -f "$TMP/port"
	perl -MSocket -e '
		my ($file, $answer) = @ARGV;
		socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
		bind($s, sockaddr_in(0, inet_aton("127.0.0.1"))) or die;
		listen($s, 1) or die;
		my ($port) = sockaddr_in(getsockname $s);
		open(my $fh, ">", "$file.new") or die; print $fh "$port\n"; close $fh; rename "$file.new", $file;
		alarm 20;
		accept(my $c, $s) or die;
		sysread $c, my $question, 4096;
		syswrite $c, $answer;
		close $c' "$TMP/port" "$1" &
	server=$!
	while [ ! -e "$TMP/port" ]; do sleep 0.05; done
	read -r port <"$TMP/port"
}

# pull WANTED-STATUS PATTERN
pull() {
	rc=0
	out=$(scripts/dom0/net pull 127.0.0.1 "$port" /pvimg-pull) || rc=$?
	wait "$server" || :
	[ "$rc" -eq "$1" ] || fail "pull: exit status $rc, wanted $1: $out"
	echo "$out" | grep -Eqx "$2" || fail "pull: no '$2' in: $out"
}

crlf=$(printf '\r\n.')
crlf=${crlf%.}
body=$(head -c 300000 /dev/zero | tr '\0' x)
serve "HTTP/1.1 200 OK${crlf}Content-Length: 300000${crlf}${crlf}$(printf '%.100000s' "$body")"
pull 1 'bytes=100000'
serve "HTTP/1.1 200 OK${crlf}content-length: 5${crlf}${crlf}12345"
pull 0 'bytes=5'
serve "HTTP/1.1 200 OK${crlf}${crlf}12345678"
pull 0 'ms=[0-9]+'
serve "HTTP/1.1 404 Not Found${crlf}Content-Length: 3${crlf}${crlf}abc"
pull 1 'HTTP/1.1 404 Not Found'
serve 'no head'
pull 1 'bytes=0'

# records CODE...: as xentrace writes them: a change of processor, an exit and an entry for each code, what was lost, half a record
records() {
	perl -e '
		sub record { my ($event, $cycles, @data) = @_; print pack "V*", $event | @data << 28 | ($cycles ? 1 << 31 : 0),
			($cycles ? (1, 2) : ()), @data }
		binmode STDOUT;
		record(0x1f003, 0, 0, 4096);
		for (@ARGV) { record(0x81102, 1, hex, 1, 2); record(0x81001, 1, 0) }
		record(0x81402, 1, 0x81, 7);
		record(0x82006, 1, 0x60);
		record(0x1f001, 1, 9, 0, 0, 0);
		print "abc"' "$@"
}
records 7b 7b 78 400 999 >"$TMP/trace"
scripts/dom0/exits amd <"$TMP/trace" >"$TMP/amd"
printf 'exits_total=6\nexit.ioio=2\nexit.hlt=1\nexit.vmmcall=1\nexit.npf=1\nexit.code_0x999=1\nexits_lost=9\n' >"$TMP/wanted"
cmp "$TMP/amd" "$TMP/wanted" || fail "exits: $(cat "$TMP/amd")"
records 30 1e c >"$TMP/trace"
scripts/dom0/exits intel <"$TMP/trace" | grep -qx exit.ept_violation=1 || fail "exits: Intel's names"
scripts/dom0/exits <"$TMP/trace" | grep -qx exits_total=4 || fail "exits: no names by this processor"
! scripts/dom0/exits amd </dev/null >"$TMP/none" || fail "exits: no record is no trace"
[ ! -s "$TMP/none" ] || fail "exits: $(cat "$TMP/none")"
# anything at all may come
head -c 200000 /dev/urandom | scripts/dom0/exits amd >/dev/null || fail "exits: random bytes"
