#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The side files of an export: the domain configuration as Xen's own parser (libxlutil) reads it, JSON with what the clouds ask for,
# and cloud-init's example.
set -eu
# shellcheck source=tests/cli/plain.sh
. tests/cli/plain.sh
mkdir "$TMP/debian-2g"
cd "$TMP/debian-2g"
truncate -s 4G debian-2g.raw
printf '{"schema": "pvimg.manifest/1", "name": "debian-2g", "distribution": "debian", "suite": "bookworm", "epoch": 1700000000,
	"flavor": {"memory": 3221225472, "vcpus": 3}}\n' >manifest.json
"$PVIMG" export debian-2g.raw --format xva,vhd >/dev/null
"$PVIMG" inspect debian-2g.xva | grep -q 'machine: debian-2g, 3 GiB memory, 3 vcpus' || fail "the flavor is not in the XVA"
[ "$(od -An -j24 -N4 -tx1 debian-2g.vhd | tr -d ' \n')" = 2ce6ad80 ] || fail "the epoch is not in the VHD"

python3 - <<'PY' || fail "the JSON files"
import json
x = json.load(open("debian-2g.xapi.json"))
assert x["VM"]["HVM_boot_policy"] == "BIOS order" and x["VM"]["memory_static_max"] == "3221225472" and x["VM"]["VCPUs_max"] == "3"
assert x["VM"]["platform"]["viridian"] == "false" and x["VBD"]["userdevice"] == "0"
g = json.load(open("debian-2g.glance.json"))
assert (g["disk_format"], g["container_format"], g["vm_mode"], g["hypervisor_type"]) == ("vhd", "ovf", "hvm", "xen")
assert (g["min_disk"], g["min_ram"], g["os_distro"], g["os_version"]) == (4, 3072, "debian", "12")
assert all(isinstance(v, str) for k, v in g.items() if not k.startswith("min_"))
e = json.load(open("debian-2g.ec2.json"))
assert (e["VirtualizationType"], e["Architecture"], e["RootDeviceName"]) == ("hvm", "x86_64", "/dev/xvda")
assert e["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda" and e["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 4
PY
head -n 1 debian-2g.user-data | grep -qx '#cloud-config' || fail "user-data"
grep -q '^instance-id: debian-2g' debian-2g.meta-data || fail "meta-data"

# another image in the same folder has none of that
truncate -s 1M other.raw
"$PVIMG" export other.raw --format xva >/dev/null
"$PVIMG" inspect other.xva | grep -q 'machine: other, 2 GiB memory, 2 vcpus' || fail "the manifest is taken for another image"
grep -q os_distro other.glance.json && fail "another image is told to be Debian"

cat >xl.py <<'PY'
import ctypes as c, ctypes.util, glob, sys
def lib(name):
    found = sorted(glob.glob(f"/usr/lib/*/{name}.so.4*"))
    if not found: sys.exit(77)
    return c.CDLL(found[-1])
u, x = lib("libxlutil"), lib("libxenlight")
u.xlu_cfg_init.restype = c.c_void_p
u.xlu_cfg_init.argtypes = [c.c_void_p, c.c_char_p]
stderr = c.c_void_p.in_dll(c.CDLL(None), "stderr")
cfg = u.xlu_cfg_init(stderr, sys.argv[1].encode())
data = open(sys.argv[1], "rb").read()
u.xlu_cfg_readdata.argtypes = [c.c_void_p, c.c_char_p, c.c_int]
assert u.xlu_cfg_readdata(cfg, data, len(data)) == 0, "it does not parse"
def text(key):
    v = c.c_char_p()
    assert u.xlu_cfg_get_string(c.c_void_p(cfg), key.encode(), c.byref(v), 0) == 0, key
    return v.value.decode()
def number(key):
    v = c.c_long()
    assert u.xlu_cfg_get_long(c.c_void_p(cfg), key.encode(), c.byref(v), 0) == 0, key
    return v.value
def items(key):
    v, n = c.c_void_p(), c.c_int()
    assert u.xlu_cfg_get_list(c.c_void_p(cfg), key.encode(), c.byref(v), c.byref(n), 0) == 0, key
    u.xlu_cfg_get_listitem.restype = c.c_char_p
    return [u.xlu_cfg_get_listitem(v, i).decode() for i in range(n.value)]
assert (text("name"), text("type"), text("bios")) == ("debian-2g", "hvm", "seabios")
assert (number("memory"), number("maxmem"), number("vcpus"), number("xen_platform_pci")) == (3072, 3072, 3, 1)
(spec,) = items("disk")
(vif,) = items("vif")
assert vif == "bridge=xenbr0"
disk = c.create_string_buffer(8192)
x.libxl_device_disk_init(disk)
specs = (c.c_char_p * 1)(spec.encode())
assert u.xlu_disk_parse(c.c_void_p(cfg), 1, specs, disk) == 0, "the disk does not parse"
# struct libxl_device_disk: backend_domid, backend_domname, pdev_path, vdev
path, vdev = (c.cast(c.c_void_p.from_buffer(disk, at).value, c.c_char_p).value.decode() for at in (16, 24))
assert (path, vdev) == ("/var/lib/xen/images/debian-2g.raw", "xvda"), (path, vdev)
# the parser does refuse things
u2 = u.xlu_cfg_init(stderr, b"bad")
assert u.xlu_cfg_readdata(u2, b"disk = [ 'a'\nname = \n", 21) != 0
PY
rc=0
python3 xl.py debian-2g.xl.cfg >said 2>&1 || rc=$?
if [ "$rc" -eq 77 ]; then
	echo "skipped: no libxlutil here; everything but xl.cfg was checked"
	exit 77
fi
[ "$rc" -eq 0 ] || fail "xl.cfg: $(cat said)"
