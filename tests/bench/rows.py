# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark: each gives the seconds of one round, or None when it cannot be done here."""
import os
import re
import shutil
import subprocess
import time

from bench import Stop


def cold(b):
    b.fresh("cold")
    b.remove("out")
    took = b.build("cold", "out", [b.recipe])
    report = b.built("out")
    b.extra["memory"] = max(b.extra.get("memory", 0), report["self_max_rss_kib"] / 1024)
    b.stages = [{"name": s["name"], "seconds": round(s["wall_ms"] / 1000, 3)} for s in report["stages"]]
    return took


def peer(name, *args, same=True):
    def row(b):
        took, why = b.peer(name, *args)
        if took is None:
            b.skipped["held" if "held" in args else name] = why
        elif same:
            b.same_set(name)
        return took
    return row


def debootstrap(b):
    """Its tree is also compared with pvimg's, once: fast must not mean another one."""
    keep = b.work / "plain.tar"
    compare = "same-tree" not in b.extra
    took, why = b.peer("debootstrap", *([keep] if compare else []))
    if took is None:
        b.skipped["debootstrap"] = why
        return None
    b.same_set("debootstrap and apt")
    if compare:
        done = subprocess.run([b.root / "tests/same-tree", *b.objects("warm"), keep], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Stop(1, done.stdout + "bench: pvimg's tree is not that of debootstrap and apt")
        b.extra["same-tree"] = int(re.search(r"(\d+) files compared", done.stdout)[1])
        print("bench: " + done.stdout.strip(), flush=True)
        keep.unlink()
    return took


def three(b):
    base = re.sub(r"-[^-]*$", "", b.recipe)
    names = ["%s-%s" % (base, size) for size in ("1g", "2g", "4g")]
    b.fresh("three")
    b.remove("three-out")
    took = b.build("three", "three-out", names)
    for name in names:
        report = b.built("three-out", name)
        b.extra["memory"] = max(b.extra.get("memory", 0), report["self_max_rss_kib"] / 1024)
    b.clean("three")
    b.remove("three-out")
    return took


def added(b):
    """One small package more, by a cache that knows the image without it."""
    b.clean("plus")
    shutil.copytree(b.work / "debs", b.work / "plus" / "store")
    b.build("plus", "plus-out", [b.recipe])
    took = b.build("plus", "plus-out", ["added"])
    b.clean("plus")
    b.remove("plus-out")
    return took


def warm(b):
    """What follows starts from a build that has just been made."""
    if not (b.work / "warm-out" / b.recipe).is_dir():
        raise Stop(1, "bench: the warm image is gone")


def locked(b):
    warm(b)
    b.with_lock(b.recipe, True)
    b.build("warm", "warm-out", [b.recipe, "--locked"])
    took = b.build("warm", "warm-out", [b.recipe, "--locked"])
    b.with_lock(b.recipe, False)
    return took


def offline(b):
    warm(b)
    b.with_lock(b.recipe, True)
    b.build("warm", "warm-out", [b.recipe, "--offline"], offline=True)
    took = b.build("warm", "warm-out", [b.recipe, "--offline"], offline=True)
    b.with_lock(b.recipe, False)
    return took


def changed(path, old, new):
    """An image is there; then a file of an overlay has other contents: until the disk is whole again."""
    def row(b):
        warm(b)
        b.with_lock(b.recipe, True)
        b.build("warm", "warm-out", [b.recipe, "--locked"])
        file = b.work / "tree/overlays" / path
        was = file.read_text()
        if not re.search(old, was, re.M):
            raise Stop(1, "bench: %s is not what it was when this was written" % path)
        file.write_text(re.sub(old, new, was, count=1, flags=re.M))
        before = b.built("warm-out")["artifacts"]
        took = b.build("warm", "warm-out", [b.recipe, "--locked"])
        if b.built("warm-out")["artifacts"] == before:
            raise Stop(1, "bench: %s has changed, and the disk has not" % path)
        file.write_text(was)
        b.with_lock(b.recipe, False)
        return took
    return row


def flavor_names(b, n):
    base = (b.work / "tree/recipes" / (b.recipe + ".yaml")).read_text()
    names = []
    for i in range(n):
        name = "flavor-%02d" % i
        (b.work / "tree/recipes" / (name + ".yaml")).write_text(
            re.sub(r"memory: .*", "memory: %dMiB" % (1024 + 64 * i), base))
        names.append(name)
    return names


def make_flavors(b, out, n):
    """Seconds for n flavors of the warm image's packages, of which none is there; that image lies beside them."""
    shutil.rmtree(b.work / out, ignore_errors=True)
    b.build("warm", out, [b.recipe])
    return b.build("warm", out, flavor_names(b, n))


def copies(b, out, n):
    """Seconds for n sparse copies of the warm image."""
    folder = b.work / out
    folder.mkdir(exist_ok=True)
    image = b.work / "warm-out" / b.recipe / (b.recipe + ".raw")
    began = time.monotonic()
    for i in range(n):
        subprocess.run(["cp", "--sparse=always", "--reflink=never", image, folder / ("copy-%d" % i)], check=True)
    took = time.monotonic() - began
    shutil.rmtree(folder)
    return took


def flavors(b):
    """Without reflinks: as many as asked for and as fit."""
    warm(b)
    image = b.work / "warm-out" / b.recipe / (b.recipe + ".raw")
    st = os.statvfs(b.work)
    fit = int(st.f_bavail * st.f_frsize * 0.7 / (os.stat(image).st_blocks * 512)) - 1
    n = min(b.flavors, fit)
    if n < 1:
        b.skipped["flavors"] = "no room"
        return None
    half = make_flavors(b, "flavors-out", max(1, n // 2))
    took = make_flavors(b, "flavors-out", n)
    shutil.rmtree(b.work / "flavors-out")
    copied = copies(b, "copies", n)
    b.extra.update({"flavors-copies": took / copied, "flavors-each": took / n})
    if n > 1:
        b.extra["flavors-linear"] = took / n / (half / max(1, n // 2))
    return took


def flavors_reflink(b):
    """On a file system with reflinks, where the image that they are made from lies too."""
    if not (b.work / "reflinks").is_dir():
        folder, why = b.reflink_folder(64 << 30)
        if folder is None:
            b.skipped["flavors-reflink"] = why
            return None
    took = make_flavors(b, "reflinks/out", b.flavors)
    b.extra["flavors-reflink-each"] = took / b.flavors
    shared = subprocess.run(["filefrag", "-v", b.work / "reflinks/out/flavor-00/flavor-00.raw"], stdout=subprocess.PIPE,
                            text=True).stdout
    if "shared" not in shared:
        raise Stop(1, "bench: flavors do not share blocks where the file system could")
    shutil.rmtree(b.work / "reflinks/out")
    return took


ROWS = {
    "cold": ("pvimg, from the .deb files to the finished raw disk", cold),
    "mmdebstrap": ("mmdebstrap, to a directory in memory", peer("mmdebstrap", "stock")),
    "held": ("mmdebstrap with pvimg's tricks: initramfs and py3compile held back, once at the end", peer("mmdebstrap", "held")),
    "debootstrap": ("debootstrap and apt, to a directory in memory", debootstrap),
    "mkosi": ("mkosi, to a disk", peer("mkosi", same=False)),
    "vmdb2": ("vmdb2, to a disk", peer("vmdb2", same=False)),
    "three": ("pvimg, three flavors in one command, cold", three),
    "added": ("pvimg, one small package added", added),
    "locked": ("pvimg, nothing changed, --locked", locked),
    "offline": ("pvimg, nothing changed, --offline", offline),
    "sysctl": ("pvimg, another value in a sysctl file", changed("sysctl/etc/sysctl.d/60-pvimg.conf.in", r"= *([0-9])", "= 1")),
    "overlay": ("pvimg, another line in a file of an overlay",
                changed("apache2/usr/share/pvimg/healthz.txt", r"\A", "x")),
    "flavors": ("pvimg, BENCH_FLAVORS flavors from a warm base", flavors),
    "flavors-reflink": ("the same on a file system with reflinks", flavors_reflink),
}

# name, what it says, unit, the most it may be, how it is found, from what
GOALS = [
    ("mmdebstrap", "cold build against mmdebstrap", "times", 0.4, "ratio", ("cold", "mmdebstrap")),
    ("held", "cold build against mmdebstrap with the same tricks", "times", None, "ratio", ("cold", "held")),
    ("debootstrap", "cold build against debootstrap and apt", "times", 0.3, "ratio", ("cold", "debootstrap")),
    ("mkosi", "cold build against mkosi to a disk", "times", 0.3, "ratio", ("cold", "mkosi")),
    ("vmdb2", "cold build against vmdb2 to a disk", "times", None, "ratio", ("cold", "vmdb2")),
    ("sysctl", "a changed sysctl to the finished disk", "s", 1.5, "seconds", ("sysctl",)),
    ("overlay", "a changed overlay file to the finished disk", "s", 1.5, "seconds", ("overlay",)),
    ("locked", "nothing changed, locked", "s", 0.1, "seconds", ("locked",)),
    ("offline", "nothing changed, offline", "s", 0.1, "seconds", ("offline",)),
    ("three", "three flavors in one command against one, cold", "times", 1.15, "ratio", ("three", "cold")),
    ("flavors-reflink", "a flavor from a warm base, with reflinks", "s", 0.5, "extra", ("flavors-reflink-each",)),
    ("flavors", "flavors from a warm base against sparse cp", "times", 1.3, "extra", ("flavors-copies",)),
    ("flavors-linear", "a flavor of N against one of N/2", "times", 1.2, "extra", ("flavors-linear",)),
    ("added", "one small package added against cold", "times", 0.5, "ratio", ("added", "cold")),
    ("memory", "peak memory of pvimg itself", "MiB", 64, "extra", ("memory",)),
]
