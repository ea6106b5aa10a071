# SPDX-License-Identifier: Apache-2.0
"""Scratch folders, pvimg and the other builders, as the rows of tests/bench/run use them."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time


class Stop(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


def median(values):
    v = sorted(values)
    return v[len(v) // 2] if len(v) % 2 else (v[len(v) // 2 - 1] + v[len(v) // 2]) / 2


def tail(path, lines=15):
    return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])


class Bench:
    def __init__(self, root, rows):
        self.root, self.rows = root, rows
        self.pvimg = os.environ.get("PVIMG", str(root / "out/pvimg"))
        self.recipe = os.environ.get("BENCH_RECIPE", "debian-2g")
        self.runs = int(os.environ.get("BENCH_RUNS", "3"))
        self.flavors = int(os.environ.get("BENCH_FLAVORS", "3"))
        self.skipped, self.extra, self.stages = {}, {}, []
        self.load = round(os.getloadavg()[0], 2)
        self.work, self.fstype, self.npackages = None, "", 0
        self.loops = []

    # --- scratch ---

    def begin(self):
        folder = os.environ.get("BENCH_DIR") or os.environ.get("TMPDIR", "/tmp")
        if "BENCH_DIR" not in os.environ and os.path.isdir("/dev/shm"):
            st = os.statvfs("/dev/shm")
            if st.f_bavail * st.f_frsize > 6 << 30:
                folder = "/dev/shm"
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="pvimg-bench.", dir=folder))
        self.work.chmod(0o755)
        self.fstype = self.filesystem(self.work)
        self.archive = self.root / "out/test-archive"
        rc = subprocess.run([self.root / "tests/archive/make", self.archive]).returncode
        if rc:
            raise Stop(rc, "skipped: no test archive here" if rc == 77 else "bench: tests/archive/make failed")
        shutil.copytree(self.root / "recipes", self.work / "tree/recipes", ignore=shutil.ignore_patterns("*.lock"))
        shutil.copytree(self.root / "overlays", self.work / "tree/overlays", symlinks=True)
        self.plan = json.loads(self.run_pvimg("plan", "warm", [self.recipe, "--json"]))
        self.packages = [p["name"] for p in self.plan["packages"]]
        self.npackages = len(self.packages)
        (self.work / "include").write_text(",".join(self.packages))
        # One build of all images that does not count fills the store and warms the page cache.
        self.lock(self.recipe)
        self.build("warm", "warm-out", [self.recipe, *self.needed()])
        self.take_debs()
        print("bench: %s, %d packages; scratch %s (%s); %d processors, load %.2f" % (
            self.recipe, self.npackages, self.work, self.fstype, len(os.sched_getaffinity(0)), os.getloadavg()[0]), flush=True)

    def needed(self):
        """Recipes whose packages must be in the store, too."""
        if "added" not in self.rows:
            return []
        extra = self.small_package()
        if not extra:
            self.skipped["added"] = "the test archive has no small package beside the recipe's"
            return []
        base = (self.work / "tree/recipes" / (self.recipe + ".yaml")).read_text()
        named = re.search(r"^packages: \[(.*)\]", (self.work / "tree/recipes/base" / "debian.yaml").read_text(), re.M)
        if not named or "\npackages:" in base:
            self.skipped["added"] = "the recipe's packages are not where this looks"
            return []
        (self.work / "tree/recipes/added.yaml").write_text(base + "packages: [%s, %s]\n" % (named[1], extra))
        return ["added"]

    def small_package(self):
        """The smallest of the archive that the image lacks and whose dependencies it has."""
        text = (self.archive / "debian/dists/bookworm/main/binary-amd64/Packages").read_text()
        best = None
        for stanza in text.split("\n\n"):
            field = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.M))
            if not field or field["Package"] in self.packages or any(k in field for k in ("Conflicts", "Breaks", "Provides")):
                continue
            needs = re.findall(r"[a-z0-9][a-z0-9.+-]+(?=[ ,:|(]|$)", re.sub(r"\([^)]*\)", "", ",".join(
                field.get(k, "") for k in ("Depends", "Pre-Depends"))))
            if all(n in self.packages for n in needs):
                best = min(best or (1 << 60, ""), (int(field["Size"]), field["Package"]))
        return best[1] if best else None

    def take_debs(self):
        store = self.work / "warm/store"
        for f in store.rglob("*"):
            if f.is_file() and "tmp" not in f.relative_to(store).parts:
                with f.open("rb") as data:
                    if data.read(7) != b"!<arch>":
                        continue
                to = self.work / "debs" / f.relative_to(store)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(f, to)

    def clean(self, name):
        if (self.work / name).is_dir():
            subprocess.run([self.pvimg, "clean", "--all", "--cache", self.work / name], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            shutil.rmtree(self.work / name, ignore_errors=True)

    def fresh(self, name):
        """A cache whose store holds nothing but the .deb files."""
        self.clean(name)
        (self.work / name).mkdir()
        shutil.copytree(self.work / "debs", self.work / name / "store")

    def remove(self, name):
        shutil.rmtree(self.work / name, ignore_errors=True)

    def end(self):
        for mount in reversed(self.loops):
            subprocess.run(["umount", "-d", mount], stderr=subprocess.DEVNULL)
        if self.work:
            for name in ("warm", "cold", "three", "plus"):
                self.clean(name)
            shutil.rmtree(self.work, ignore_errors=True)

    @staticmethod
    def filesystem(path):
        return subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE, text=True).stdout.strip()

    def reflink_folder(self, size):
        """A folder on a file system with reflinks, or None and why."""
        folder = self.work / "reflinks"
        image = self.work / "reflinks.img"
        if os.geteuid() != 0:
            return None, "mounting a file system with reflinks takes root"
        for make in (["mkfs.xfs", "-q", "-m", "reflink=1"], ["mkfs.btrfs", "-q"]):
            if not shutil.which(make[0]):
                continue
            folder.mkdir(exist_ok=True)
            with image.open("w") as f:
                f.truncate(size)
            if subprocess.run([*make, image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0 and \
               subprocess.run(["mount", "-o", "loop", image, folder], stderr=subprocess.DEVNULL).returncode == 0:
                self.loops.append(folder)
                return folder, None
            image.unlink()
        return None, "no file system with reflinks can be made and mounted here"

    # --- pvimg ---

    def run_pvimg(self, command, cache, args, offline=False):
        from_archive = [] if offline else ["--mirror", "file://%s/debian" % self.archive, "--keyring",
                                            self.archive / "test.gpg"]
        argv = [self.pvimg, command, *args, "--recipes", self.work / "tree/recipes", "--cache", self.work / cache, *from_archive]
        with open(self.work / "pvimg.log", "w") as log:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=log, text=True)
        if done.returncode:
            raise Stop(1, "%s\nbench: pvimg %s failed" % (tail(self.work / "pvimg.log"), command))
        return done.stdout

    def version(self):
        return subprocess.run([self.pvimg, "--version"], stdout=subprocess.PIPE, text=True).stdout.split()[-1]

    def lock(self, name):
        self.run_pvimg("lock", "warm", [name])
        lock = self.work / "tree/recipes" / (name + ".lock")
        lock.rename(self.work / (name + ".lock"))

    def with_lock(self, name, there):
        lock, away = self.work / "tree/recipes" / (name + ".lock"), self.work / (name + ".lock")
        if there and away.exists():
            away.rename(lock)
        if not there and lock.exists():
            lock.rename(away)

    def build(self, cache, out, args, offline=False):
        """Seconds."""
        began = time.monotonic()
        self.run_pvimg("build", cache, ["--no-verify", "--out", self.work / out, *args], offline)
        return time.monotonic() - began

    def built(self, out, name=None):
        name = name or self.recipe
        return json.loads((self.work / out / name / "report.json").read_text())

    def objects(self, cache):
        """The trees that it keeps of the recipe's packages: that of stage system, and what stage configure changed."""
        found = []
        for stage in ("system", "configure"):
            for record in (self.work / cache / "stages" / stage).glob("*.json"):
                doc = json.loads(record.read_text())
                if doc["image"] == self.recipe:
                    digest = doc["files"][0]["digest"]
                    found += list((self.work / cache / "store").rglob(digest))
        if len(found) != 2:
            raise Stop(1, "bench: the cache has %d trees of the recipe, 2 are wanted" % len(found))
        return found

    # --- the others ---

    def peer(self, name, *args):
        """Seconds, or None and the row is skipped from now on. Each runs with mounts of its own."""
        script = self.root / "tests/bench/peers" / name
        (self.work / "peer").mkdir(exist_ok=True)
        with open(self.work / "peer.log", "w") as log:
            apart = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "--map-auto", "-r", "-m"]
            done = subprocess.run([*apart, "sh", script, self.work / "peer", self.archive, self.work / "include", *args],
                                  stdout=subprocess.PIPE, stderr=log, text=True)
        last = done.stdout.strip().splitlines()[-1:] or [""]
        if done.returncode == 77:
            return None, last[0].replace("skipped: ", "")
        if done.returncode:
            print(tail(self.work / "peer.log", 8), file=sys.stderr)
            return None, "it failed: " + (tail(self.work / "peer.log", 1).strip() or last[0])[:200]
        return float(last[0]), None

    def same_set(self, what):
        """What the other has installed is what pvimg has."""
        listed = (self.work / "peer/set").read_text().split("\n")
        ours = ["%s %s" % (p["name"], p["version"]) for p in self.plan["packages"]]
        differ = set(filter(None, listed)) ^ set(ours)
        if differ:
            raise Stop(1, "bench: the package sets of pvimg and %s differ: %s" % (what, ", ".join(sorted(differ)[:10])))
