# SPDX-License-Identifier: Apache-2.0
# Starts and ends the stand-in of xapi, tells it what to do, asks what was done. The working folder is the test's own,
# $HERE the project's root.
# shellcheck shell=sh

# xapi_cert NAME SUBJECT-ALT-NAMES: NAME.crt, and NAME.pem with its key
xapi_cert() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.crt" -days 3650 \
		-subj "/CN=$1" -addext "subjectAltName=$2" 2>/dev/null
	cat "$1.key" "$1.crt" >"$1.pem"
}

# xapi_begin: the stand-in on port $XAPI_PORT, with host.crt on 127.0.0.1 and other.crt on 127.0.0.2
xapi_begin() {
	xapi_cert host IP:127.0.0.1
	xapi_cert other IP:127.0.0.2
	xapi_cert name DNS:elsewhere.example
	PVIMG_XAPI_PASSWORD='pass word'
	export PVIMG_XAPI_PASSWORD
	mkfifo hold
	python3 "$HERE/tests/xapi/xapi.py" data host.pem other.pem <hold >port 2>xapi.log &
	XAPI_PID=$!
	exec 8>hold
	for xapi_i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ ! -s port ] || break
		sleep 0.3
	done
	XAPI_PORT=$(cat port)
	[ -n "$XAPI_PORT" ] || { echo "the stand-in does not start ($xapi_i): $(cat xapi.log)"; exit 1; }
}

xapi_end() {
	exec 8>&-
	kill "$XAPI_PID" 2>/dev/null || :
	wait "$XAPI_PID" 2>/dev/null || :
}

# xapi_told JSON: that misbehaviour and no other; the log is empty afterwards
xapi_told() {
	curl -sk -o told -d '{"reset": true}' "https://127.0.0.1:$XAPI_PORT/_control"
	curl -sk -o told -d "$1" "https://127.0.0.1:$XAPI_PORT/_control"
}

xapi_log() {
	curl -sk "https://127.0.0.1:$XAPI_PORT/_control" | python3 -c 'import json, sys; print("\n".join(json.load(sys.stdin)["log"]))'
}

xapi_sessions() {
	curl -sk "https://127.0.0.1:$XAPI_PORT/_control" | python3 -c 'import json, sys; print(json.load(sys.stdin)["sessions"])'
}

xapi_pin() {
	openssl x509 -in "$1.crt" -noout -fingerprint -sha256 | sed 's/.*=//'
}
