# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A real S3 server for tests: Debian's Swift with its S3 interface, on loopback, and tests/s3/proxy.py before it, which
# counts requests, cuts connections and changes answers when it is told to. TMP: an own folder; HERE: the project.

s3_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# swift_conf KIND PORT: an account, container or object server
swift_conf() {
	cat >"$TMP/swift/$1.conf" <<END
[DEFAULT]
devices = $TMP/swift/devices
mount_check = false
fallocate_reserve = 0
bind_ip = 127.0.0.1
bind_port = $2
workers = 0
user = $(id -un)
swift_dir = $TMP/swift
log_name = $1
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
END
}

# Begins the servers; S3_PORT is the proxy's, S3_SWIFT the server's own.
s3_begin() {
	mkdir -p "$TMP/swift/devices/d1"
	cat >"$TMP/swift/swift.conf" <<-END
	[swift-hash]
	swift_hash_path_suffix = pvimg
	swift_hash_path_prefix = pvimg
	END
	S3_PIDS=
	for kind in account container object; do
		port=$(s3_port)
		swift_conf $kind "$port"
		( cd "$TMP/swift" && swift-ring-builder $kind.builder create 6 1 1 &&
			swift-ring-builder $kind.builder add "r1z1-127.0.0.1:$port/d1" 1 &&
			swift-ring-builder $kind.builder rebalance ) >>"$TMP/swift/ring.log" 2>&1
		swift-$kind-server "$TMP/swift/$kind.conf" >>"$TMP/swift/$kind.log" 2>&1 &
		S3_PIDS="$S3_PIDS $!"
	done
	S3_CACHE=$(s3_port)
	memcached -u "$(id -un)" -l 127.0.0.1 -p "$S3_CACHE" -U 0 -m 16 >>"$TMP/swift/memcached.log" 2>&1 &
	S3_PIDS="$S3_PIDS $!"
	S3_SWIFT=$(s3_port)
	cat >"$TMP/swift/proxy.conf" <<-END
	[DEFAULT]
	bind_ip = 127.0.0.1
	bind_port = $S3_SWIFT
	workers = 0
	user = $(id -un)
	swift_dir = $TMP/swift
	[pipeline:main]
	pipeline = catch_errors cache bulk s3api tempauth slo dlo proxy-server
	[app:proxy-server]
	use = egg:swift#proxy
	account_autocreate = true
	[filter:catch_errors]
	use = egg:swift#catch_errors
	[filter:cache]
	use = egg:swift#memcache
	memcache_servers = 127.0.0.1:$S3_CACHE
	[filter:bulk]
	use = egg:swift#bulk
	[filter:s3api]
	use = egg:swift#s3api
	s3_acl = false
	location = us-east-1
	[filter:tempauth]
	use = egg:swift#tempauth
	user_test_tester = testing4711 .admin
	[filter:slo]
	use = egg:swift#slo
	[filter:dlo]
	use = egg:swift#dlo
	END
	swift-proxy-server "$TMP/swift/proxy.conf" >>"$TMP/swift/proxy.log" 2>&1 &
	S3_PIDS="$S3_PIDS $!"
	S3_PORT=$(s3_port)
	python3 "$HERE/tests/s3/proxy.py" "$S3_PORT" "$S3_SWIFT" "$TMP/told.json" >"$TMP/requests" 2>"$TMP/proxy.err" &
	S3_PIDS="$S3_PIDS $!"
	# shellcheck disable=SC2034  # for the test
	S3_OPTIONS="endpoint=http://127.0.0.1:$S3_PORT&region=us-east-1"
	AWS_ACCESS_KEY_ID=test:tester AWS_SECRET_ACCESS_KEY=testing4711
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		look make images >"$TMP/begin" 2>&1 && return 0
		sleep 1
	done
	cat "$TMP/begin"
	return 1
}

# look COMMAND ...: the tests' own reader, past the proxy
look() {
	python3 "$HERE/tests/s3/look.py" "$S3_SWIFT" "$@"
}

s3_end() {
	# shellcheck disable=SC2086  # a list of numbers
	kill $S3_PIDS 2>/dev/null || :
	wait
}

# s3_told JSON: what tests/s3/proxy.py does from here on
s3_told() {
	printf '%s' "$1" >"$TMP/told.new"
	mv "$TMP/told.new" "$TMP/told.json"
	: >"$TMP/requests"
}
