#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Independent eyes on the ext4 writer: a Linux kernel (libguestfs's appliance) mounts what pvimg wrote from a tree with
# all kinds of files, and finds the names, owners, modes, times, xattrs, hard links, devices and content that went in.
# Then the kernel adds names to the large folder, and e2fsck finds nothing wrong.
# time limit: 600
set -eu
# shellcheck source=tests/boot/common.sh
. tests/boot/common.sh
bt_need guestfish python3 e2fsck setfattr setfacl setcap depmod dpkg-deb
[ "$(id -u)" -eq 0 ] || bt_skip "device nodes and capabilities in the tree need root"
[ -x out/obj/unit/test_ext4 ] || bt_skip "out/obj/unit/test_ext4 is not built"
writer=$PWD/out/obj/unit/test_ext4

# --- a kernel for the appliance: this machine's, or one unpacked from its archive ---
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_CACHEDIR="$TMP/cache"
mkdir -p "$TMP/cache" "$TMP/kernel"
if ! ls /boot/vmlinuz-* >/dev/null 2>&1; then
	package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' |
		head -n 1)
	[ -n "$package" ] || bt_skip "no kernel in /boot, and apt knows none"
	chmod 755 "$TMP/kernel"
	(cd "$TMP/kernel" && apt-get -q download "$package" >download.log 2>&1) ||
		bt_skip "no kernel in /boot, and apt cannot download $package"
	dpkg-deb -x "$TMP/kernel/$package"_*.deb "$TMP/kernel/tree"
	version=${package#linux-image-}
	depmod -b "$TMP/kernel/tree" "$version"
	export SUPERMIN_KERNEL="$TMP/kernel/tree/boot/vmlinuz-$version" SUPERMIN_KERNEL_VERSION="$version" \
		SUPERMIN_MODULES="$TMP/kernel/tree/lib/modules/$version"
	mkdir -p /lib/modules
fi

# --- the tree ---
mkdir "$TMP/tree"
cd "$TMP/tree"
mkdir -p dev big a/b/c/d/e tmp
chmod 1777 tmp
i=0
while [ "$i" -lt 3000 ]; do
	echo "$i" >"big/entry number $i with a long name"
	i=$((i + 1))
done
head -c 5000000 /dev/urandom >a/random
truncate -s 20M a/holes
printf data | dd of=a/holes bs=1 seek=9000000 conv=notrunc status=none
: >a/empty
ln a/random a/b/hard
ln a/random a/b/c/harder
ln -s /nowhere a/dead
ln -s "$(printf '%0100d' 0)" a/long-link
mkfifo a/fifo
mknod a/char c 4 64
mknod a/block b 259 70000
printf 'x\n' >"a/quote'\" \\ and
newline"
cp /bin/true a/b/suid
chown 1000:70000 a/b/suid
chmod 4751 a/b/suid
cp /bin/true a/b/ping
setcap cap_net_raw+ep a/b/ping
echo acl >a/acl
setfacl -m u:33:rw,g:100000:r a/acl
setfacl -d -m u:33:rx a/b
setfattr -n user.note -v "some words" a/acl
touch -d '2017-07-14 02:40:00 UTC' a/random a/long-link -h a/b/c/d
chown -R 70000:0 a/b/c/d
cd - >/dev/null

"$writer" --write "$TMP/image" 200 "$TMP/tree" || bt_fail "the writer"
e2fsck -fn "$TMP/image?offset=3145728" >"$TMP/fsck.log" 2>&1 || bt_fail "e2fsck: $(tail -n 3 "$TMP/fsck.log")"
dd if="$TMP/image" of="$TMP/root" bs=1M skip=3 conv=sparse status=none

# --- the kernel's view ---
start=$(date +%s)
if ! timeout 300 guestfish --ro -a "$TMP/root" run : mount-ro /dev/sda / : \
	tar-out / "$TMP/out.tar" xattrs:true acls:true numericowner:true >"$TMP/guestfish.log" 2>&1; then
	tail -n 5 "$TMP/guestfish.log"
	grep -q 'failed to find a suitable kernel' "$TMP/guestfish.log" && bt_skip "libguestfs finds no kernel"
	bt_fail "guestfish"
fi
bt_say "libguestfs read the image in $(($(date +%s) - start)) s"
mkdir "$TMP/back"
tar -C "$TMP/back" --numeric-owner --xattrs --xattrs-include='*' --acls -xpf "$TMP/out.tar"
rmdir "$TMP/back/lost+found"

cat >"$TMP/list.py" <<'PY'
import hashlib, os, stat, sys
root, epoch = os.fsencode(sys.argv[1]), 1700000000
names, first = [], {}
for folder, dirs, files in os.walk(root):
    names += [os.path.join(folder, n) for n in dirs + files]
for path in [root] + sorted(names):
    st, rel = os.lstat(path), os.path.relpath(path, root)
    kind = stat.S_IFMT(st.st_mode)
    more = b''
    if kind == stat.S_IFREG:
        more = hashlib.sha256(open(path, 'rb').read()).hexdigest().encode()
        more += b' first name ' + first.setdefault((st.st_dev, st.st_ino), rel) + b' of %d' % st.st_nlink
    elif kind == stat.S_IFLNK:
        more = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        more = b'%d:%d' % (os.major(st.st_rdev), os.minor(st.st_rdev))
    xattrs = b''
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        xattrs = b' '.join(n.encode() + b'=' + os.getxattr(path, n).hex().encode() for n in sorted(os.listxattr(path)))
    mtime = min(int(st.st_mtime), epoch)
    print(repr((rel, oct(st.st_mode), st.st_uid, st.st_gid, mtime, more, xattrs)))
PY
# the nodes that pvimg adds
for node in "console 5 1 600 0" "full 1 7 666 0" "null 1 3 666 0" "ptmx 5 2 666 5" "random 1 8 666 0" "tty 5 0 666 5" \
	"urandom 1 9 666 0" "zero 1 5 666 0"; do
	# shellcheck disable=SC2086
	set -- $node
	mknod -m "$4" "$TMP/tree/dev/$1" c "$2" "$3"
	chown "0:$5" "$TMP/tree/dev/$1"
done
python3 "$TMP/list.py" "$TMP/tree" >"$TMP/wanted"
python3 "$TMP/list.py" "$TMP/back" >"$TMP/found"
bt_is "entries" "$(wc -l <"$TMP/found")" "$(wc -l <"$TMP/wanted")"
if cmp -s "$TMP/wanted" "$TMP/found"; then
	bt_say "ok   every entry is as it went in"
else
	diff "$TMP/wanted" "$TMP/found" | head -n 20
	bt_fail "the kernel sees another tree"
fi
bt_is "the list has the capability" "$(grep -c 'security.capability=0100000200200000' "$TMP/found")" 1
bt_is "the list has the ACLs" "$(grep -c 'system.posix_acl_access=' "$TMP/found")" 1
bt_is "the list has the hard links" "$(grep -c ' of 3' "$TMP/found")" 3

# --- the kernel goes on with it ---
{
	echo 'run'
	echo 'mount /dev/sda /'
	i=0
	while [ "$i" -lt 400 ]; do
		echo "touch '/big/added by the kernel $i'"
		i=$((i + 1))
	done
	echo "rm-f '/big/entry number 77 with a long name'"
	echo 'umount-all'
} >"$TMP/script"
timeout 300 guestfish -a "$TMP/root" -f "$TMP/script" >"$TMP/guestfish.log" 2>&1 ||
	bt_fail "the kernel cannot go on: $(tail -n 3 "$TMP/guestfish.log")"
e2fsck -fn "$TMP/root" >"$TMP/fsck.log" 2>&1 || bt_fail "e2fsck afterwards: $(tail -n 3 "$TMP/fsck.log")"
bt_is "names after the kernel's work" "$(debugfs -R 'ls -p /big' "$TMP/root" 2>/dev/null | grep -c '/e\|/added')" 3399
[ "$BT_BAD" -eq 0 ] || bt_fail "$BT_BAD checks are bad"
