# SPDX-License-Identifier: Apache-2.0
# Starts and ends Debian's glance-api on loopback, without authentication, and a front before it (front.py) that speaks TLS,
# stands in for Keystone and misbehaves when told to. The working folder is the test's own, $HERE the project's root.
# shellcheck shell=sh

# glance_cert NAME SUBJECT-ALT-NAMES: NAME.crt, and NAME.pem with its key
glance_cert() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.crt" -days 3650 \
		-subj "/CN=$1" -addext "subjectAltName=$2" 2>/dev/null
	cat "$1.key" "$1.crt" >"$1.pem"
}

# free_ports N: so many ports that nobody listens on
free_ports() {
	python3 -c '
import socket, sys
s = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in s:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in s])' "$1"
}

# glance_begin MIB: a store of that size, in memory; the service on $GLANCE (http), the front on $FRONT (https, port $FRONT_PORT)
# and on port $FRONT_PLAIN (http)
glance_begin() {
	GLANCE_PORT=$(free_ports 1)
	GLANCE=http://127.0.0.1:$GLANCE_PORT
	mkdir -p images staging
	cat >glance.conf <<-END
		[DEFAULT]
		bind_host = 127.0.0.1
		bind_port = $GLANCE_PORT
		workers = 0
		use_stderr = true
		enabled_backends = f:file
		[database]
		connection = sqlite:///$PWD/glance.db
		[glance_store]
		default_backend = f
		[f]
		filesystem_store_datadir = $PWD/images
		[os_glance_staging_store]
		filesystem_store_datadir = $PWD/staging
		[os_glance_tasks_store]
		filesystem_store_datadir = $PWD/staging
		[image_format]
		container_formats = ami,ari,aki,bare,ovf,ova,docker,compressed
		disk_formats = ami,ari,aki,vhd,vhdx,vmdk,raw,qcow2,vdi,iso,ploop
		[paste_deploy]
		flavor =
		config_file = /usr/share/glance-common/glance-api-paste.ini
		[oslo_policy]
		enforce_secure_rbac = false
		enforce_scope = false
		policy_file = $PWD/policy.yaml
	END
	printf '"communitize_image": ""\n' >policy.yaml
	glance-manage --config-file glance.conf db_sync >db.log 2>&1 || { tail -n 5 db.log; exit 1; }
	# shellcheck disable=SC2016  # words for the inner shell
	unshare -rm sh -c 'mount -t tmpfs -o size="$1" store images && exec glance-api --config-file glance.conf' sh "$1m" \
		>glance.log 2>&1 &
	GLANCE_PID=$!
	glance_cert host IP:127.0.0.1
	glance_cert name DNS:elsewhere.example
	mkfifo hold
	python3 "$HERE/tests/glance/front.py" "$GLANCE_PORT" host.pem <hold >ports 2>front.log &
	FRONT_PID=$!
	exec 8>hold
	for glance_i in $(seq 1 300); do
		if [ -s ports ] && curl -s -o versions "$GLANCE/v2/images"; then
			break
		fi
		sleep 0.3
	done
	[ -s versions ] || { echo "glance-api does not start ($glance_i): $(tail -n 5 glance.log)"; exit 1; }
	read -r FRONT_PORT FRONT_PLAIN <ports || { echo "the front does not start: $(cat front.log)"; exit 1; }
	FRONT=https://127.0.0.1:$FRONT_PORT
	export FRONT_PLAIN
}

glance_end() {
	exec 8>&-
	kill "$FRONT_PID" "$GLANCE_PID" 2>/dev/null || :
	wait "$FRONT_PID" "$GLANCE_PID" 2>/dev/null || :
}

# front_told JSON: that misbehaviour and no other; the log is empty afterwards
front_told() {
	curl -sk -o told -d "$1" "$FRONT/_control"
}

# front_log: METHOD PATH STATUS, one request a line
front_log() {
	curl -sk "$FRONT/_log"
}
