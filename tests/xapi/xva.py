# SPDX-License-Identifier: Apache-2.0
"""Reads an XVA from a stream as strictly as xapi does, from the format's rules alone; nothing of pvimg is used here.

Sources of the rules: xapi-project/xen-api ocaml/xapi/{import,importexport,stream_vdi}.ml. Broken rules are a Refused
with xapi's own error code.
"""
import hashlib
import xml.etree.ElementTree as ElementTree

MIB = 1 << 20
NULL = "OpaqueRef:NULL"
# what xapi's data model has no default for, so that an import says "Field X not present in rpc"
FIELDS = {
    "VM": "uuid name_label name_description user_version is_a_template memory_static_max memory_dynamic_max "
          "memory_dynamic_min memory_static_min VCPUs_params VCPUs_max VCPUs_at_startup actions_after_shutdown "
          "actions_after_reboot actions_after_crash PV_bootloader PV_kernel PV_ramdisk PV_args PV_bootloader_args "
          "PV_legacy_args HVM_boot_policy HVM_boot_params platform PCI_bus other_config recommendations affinity "
          "is_control_domain power_state resident_on VIFs VBDs domid domarch allowed_operations current_operations "
          "suspend_VDI metrics guest_metrics last_booted_record consoles crash_dumps last_boot_CPU_flags",
    "VDI": "uuid name_label name_description SR virtual_size type sharable read_only other_config VBDs crash_dumps "
           "physical_utilisation storage_lock location managed missing parent allowed_operations current_operations",
    "VBD": "uuid VM VDI userdevice device bootable mode type unpluggable empty other_config qos_algorithm_type "
           "qos_algorithm_params storage_lock currently_attached allowed_operations current_operations status_code "
           "status_detail runtime_properties qos_supported_algorithms metrics reserved",
    "VIF": "uuid VM network device MAC MTU other_config qos_algorithm_type qos_algorithm_params currently_attached "
           "allowed_operations current_operations status_code status_detail runtime_properties "
           "qos_supported_algorithms metrics reserved",
    "network": "uuid name_label name_description bridge other_config VIFs PIFs allowed_operations current_operations",
    "SR": "uuid name_label name_description type content_type shared other_config VDIs PBDs virtual_allocation "
          "physical_utilisation physical_size allowed_operations current_operations",
}


class Refused(Exception):
    """args: xapi's error code and its parameters."""


class Stream:
    """The body: exactly `length` bytes, an early end is an error."""

    def __init__(self, read):
        self.read_some = read

    def take(self, n):
        parts = []
        while n > 0:
            part = self.read_some(min(n, MIB))
            if not part:
                raise Refused("IMPORT_ERROR_PREMATURE_EOF")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)


def octal(field):
    text = field.rstrip(b"\0 ")
    if not text or any(c not in b"01234567" for c in text):
        raise Refused("INTERNAL_ERROR", "tar: no octal number: %r" % field)
    return int(text, 8)


def member(stream):
    """(name, size) of the next member, None at the end."""
    block = stream.take(512)
    if block == bytes(512):
        if stream.take(512) != bytes(512):
            raise Refused("INTERNAL_ERROR", "tar: one empty sector, then something else")
        return None
    if octal(block[148:156]) != sum(block[:148]) + 8 * 0x20 + sum(block[156:]):
        raise Refused("INTERNAL_ERROR", "tar: wrong sum of a header")
    if block[257:263] != b"ustar\0" or block[156:157] not in (b"0", b"\0"):
        raise Refused("INTERNAL_ERROR", "tar: a member that is no plain file")
    if block[345:500].strip(b"\0"):
        raise Refused("INTERNAL_ERROR", "tar: a name in two parts")
    return block[:100].split(b"\0")[0].decode(), octal(block[124:136])


def contents(stream, size):
    data = stream.take(size)
    if stream.take(-size % 512).strip(b"\0"):
        raise Refused("INTERNAL_ERROR", "tar: padding is not empty")
    return data


def value(node):
    kids = list(node)
    if not kids:
        return node.text or ""
    kid = kids[0]
    if kid.tag == "struct":
        ret = {}
        for m in kid:
            name = m.find("name").text
            if name in ret:
                raise Refused("INTERNAL_ERROR", "ova.xml: %s is there twice" % name)
            ret[name] = value(m.find("value"))
        return ret
    if kid.tag == "array":
        return [value(v) for v in kid.find("data")]
    if kid.tag == "boolean":
        return {"0": False, "1": True}[kid.text]
    return kid.text or ""


def objects_of(text):
    """{class: {id: record}} of ova.xml, every reference in it followed."""
    try:
        root = value(ElementTree.fromstring(text))
        version = root["version"]
        objects = root["objects"]
    except (ElementTree.ParseError, KeyError, AttributeError, TypeError) as e:
        raise Refused("INTERNAL_ERROR", "ova.xml: %s" % e)
    if version["export_vsn"] != "2" or (int(version["xapi_major"]), int(version["xapi_minor"])) > (1, 20):
        raise Refused("IMPORT_INCOMPATIBLE_VERSION")
    ret = {kind: {} for kind in FIELDS}
    for o in objects:
        kind, name, record = o["class"], o["id"], o["snapshot"]
        if kind not in ret or name in ret[kind]:
            raise Refused("INTERNAL_ERROR", "ova.xml: class %s, id %s" % (kind, name))
        for field in FIELDS[kind].split():
            if field not in record:
                raise Refused("INTERNAL_ERROR", "Field %s not present in rpc" % field)
        ret[kind][name] = record
    for kind, field, to in (("VBD", "VM", "VM"), ("VBD", "VDI", "VDI"), ("VIF", "VM", "VM"),
                            ("VIF", "network", "network"), ("VDI", "SR", "SR")):
        for record in ret[kind].values():
            if record[field] not in ret[to]:
                raise Refused("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", record[field])
    if not ret["VM"] or not ret["VDI"]:
        raise Refused("INTERNAL_ERROR", "ova.xml: no VM or no VDI")
    for vdi in ret["VDI"].values():
        if int(vdi["virtual_size"]) <= 0 or int(vdi["virtual_size"]) % MIB:
            raise Refused("INTERNAL_ERROR", "virtual_size is no whole number of MiB")
    return ret


def read_disk(stream, name, size, put):
    """One VDI's chunks; put(offset, data) where there is data. Chunks of zeros are left out, never the first or the last."""
    last, at, chunk = "", 0, 0
    while at < size:
        m = member(stream)
        if m is None:
            raise Refused("IMPORT_ERROR_PREMATURE_EOF")
        prefix, _, suffix = m[0].rpartition("/")
        if prefix != name or len(suffix) != 8 or not suffix.isdigit():
            raise Refused("IMPORT_ERROR_UNEXPECTED_FILE", name, m[0])
        if suffix <= last:
            raise Refused("INTERNAL_ERROR", "chunk %s after %s" % (suffix, last))
        if not last and suffix != "00000000":
            raise Refused("INTERNAL_ERROR", "the first chunk is not there")
        chunk = chunk or m[1]
        if m[1] != chunk or chunk != MIB:
            raise Refused("INTERNAL_ERROR", "a chunk of %d bytes" % m[1])
        at, last = int(suffix) * chunk, suffix
        if at + chunk > size:
            raise Refused("INTERNAL_ERROR", "a chunk beyond the end of the disk")
        data = contents(stream, chunk)
        check_sum(stream, m[0], data)
        put(at, data)
        at += chunk


def check_sum(stream, name, data):
    m = member(stream)
    if m is None or m[0] not in (name + ".checksum", name + ".xxhash"):
        raise Refused("IMPORT_ERROR_UNEXPECTED_FILE", name + ".checksum", m[0] if m else "")
    said = contents(stream, m[1]).decode()
    if m[0].endswith(".xxhash"):
        if len(said) != 16 or said.upper() != said:
            raise Refused("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")
        return      # Python has no XXH64: tests/cli/80-formats.sh checks those
    if said != hashlib.sha1(data).hexdigest():
        raise Refused("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")


def read(read_some, new_disk):
    """All of an XVA. new_disk(vdi_id, vdi_record, objects) gives a put(offset, data). Returns the objects."""
    stream = Stream(read_some)
    m = member(stream)
    if m is None or m[0] != "ova.xml" or m[1] > 16 * MIB:
        raise Refused("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", m[0] if m else "")
    objects = objects_of(contents(stream, m[1]))
    for name in sorted(objects["VDI"], key=lambda s: s.encode()):
        vdi = objects["VDI"][name]
        read_disk(stream, name, int(vdi["virtual_size"]), new_disk(name, vdi, objects))
    if member(stream) is not None:
        raise Refused("INTERNAL_ERROR", "more members than the disks have")
    return objects
