# SPDX-License-Identifier: Apache-2.0
# A reader of buckets that owes nothing to pvimg: signature version 4 from its description, the mirror from simplestreams' rules.
# argv: PORT COMMAND ...
#   make BUCKET             makes it
#   mirror BUCKET PREFIX    reads index, list and every file by size and SHA-256; a line a product: newest version, how many, disk
#   keys BUCKET PREFIX      a line a key
#   uploads BUCKET          a line an upload that nobody completed
#   get BUCKET KEY          to stdout
#   put BUCKET KEY          from stdin
#   delete BUCKET KEY
import datetime, hashlib, hmac, http.client, json, os, sys, urllib.parse, xml.etree.ElementTree as ET

port, KEY, SECRET = int(sys.argv[1]), os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def ask(method, path, query=(), body=b"", fine=()):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    quote = lambda s: urllib.parse.quote(s, safe="-_.~")
    path = urllib.parse.quote(path, safe="/-_.~")
    q = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(query))
    payload = hashlib.sha256(body).hexdigest()
    headers = {"host": f"127.0.0.1:{port}", "x-amz-content-sha256": payload, "x-amz-date": now}
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, path, q, "".join(f"{k}:{headers[k]}\n" for k in sorted(headers)), names, payload])
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for word in (now[:8], "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.request(method, path + ("?" + q if q else ""), body=body, headers=headers)
    r = c.getresponse()
    data = r.read()
    if r.status // 100 != 2 and r.status not in fine:
        sys.exit(f"{method} {path}?{q}: {r.status} {data[:400]!r}")
    return r, data


def plain(tag):
    return tag.rpartition("}")[2]


def mirror(bucket, prefix):
    get = lambda path: ask("GET", f"/{bucket}/{prefix}{path}")[1]
    index = json.loads(get("streams/v1/index.json"))
    assert index["format"] == "index:1.0"
    for content, entry in index["index"].items():
        products = json.loads(get(entry["path"]))
        assert products["format"] == "products:1.0" and products["content_id"] == content
        assert set(entry["products"]) <= set(products["products"])
        for name in sorted(entry["products"]):
            versions = products["products"][name]["versions"]
            for version, v in sorted(versions.items()):
                for kind, item in v["items"].items():
                    assert not item["path"].startswith("/") and ".." not in item["path"]
                    data = get(item["path"])
                    assert len(data) == item["size"] and hashlib.sha256(data).hexdigest() == item["sha256"], item
            print(name, version, len(versions), v["disk_sha256"][:8], ",".join(sorted(v["items"])))


def values(bucket, query, entry, names):
    root = ET.fromstring(ask("GET", f"/{bucket}", query)[1])
    for e in root:
        if plain(e.tag) == entry:
            got = {plain(f.tag): f.text for f in e}
            print(*[got[n] for n in names])


command, bucket = sys.argv[2:4]
if command == "make":
    ask("PUT", f"/{bucket}", fine=(409,))
elif command == "mirror":
    mirror(bucket, sys.argv[4])
elif command == "keys":
    values(bucket, [("list-type", "2"), ("prefix", sys.argv[4])], "Contents", ["Key"])
elif command == "uploads":
    values(bucket, [("uploads", "")], "Upload", ["Key"])
elif command == "get":
    sys.stdout.buffer.write(ask("GET", f"/{bucket}/{sys.argv[4]}")[1])
elif command == "put":
    ask("PUT", f"/{bucket}/{sys.argv[4]}", body=sys.stdin.buffer.read())
elif command == "delete":
    ask("DELETE", f"/{bucket}/{sys.argv[4]}")
