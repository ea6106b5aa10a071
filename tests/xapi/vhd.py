# SPDX-License-Identifier: Apache-2.0
"""Reads a dynamic VHD forward only, as xapi's vhd-tool does, from the format's rules alone (big-endian throughout)."""
import struct

from xva import Refused, Stream

BLOCK = 2 << 20


def summed(data, at):
    return ~(sum(data) - sum(data[at:at + 4])) & 0xFFFFFFFF


def read(read_some, size, put):
    """put(offset, data) for each sector run that is there."""
    stream = Stream(read_some)
    footer = stream.take(512)
    if footer[:8] != b"conectix" or struct.unpack(">I", footer[64:68])[0] != summed(footer, 64):
        raise Refused("VDI_IO_ERROR", "no VHD, or a wrong sum of its footer")
    current, kind, hidden = struct.unpack(">Q", footer[48:56])[0], struct.unpack(">I", footer[60:64])[0], footer[85]
    if kind != 3 or hidden or current != size:
        raise Refused("VDI_IO_ERROR", "type %d, hidden %d, %d bytes for a VDI of %d" % (kind, hidden, current, size))
    header = stream.take(1024)
    if header[:8] != b"cxsparse" or struct.unpack(">I", header[36:40])[0] != summed(header, 36):
        raise Refused("VDI_IO_ERROR", "a wrong header")
    table_at, = struct.unpack(">Q", header[16:24])
    entries, = struct.unpack(">I", header[28:32])
    at = 1536
    stream.take(table_at - at)
    table = stream.take((entries * 4 + 511) // 512 * 512)
    at = table_at + len(table)
    blocks = sorted((s, n) for n, s in enumerate(struct.unpack(">%dI" % entries, table[:entries * 4])) if s != 0xFFFFFFFF)
    for sector, n in blocks:
        stream.take(sector * 512 - at)
        bitmap, data = stream.take(512), stream.take(BLOCK)
        at = sector * 512 + 512 + BLOCK
        for s in range(4096):
            offset = n * BLOCK + s * 512
            if bitmap[s // 8] & (0x80 >> (s % 8)) and offset < size:
                put(offset, data[s * 512:s * 512 + 512])
    if stream.take(512) != footer:
        raise Refused("VDI_IO_ERROR", "the last footer is another one")
