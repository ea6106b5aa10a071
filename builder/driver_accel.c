/* SPDX-License-Identifier: Apache-2.0 */
/* KVM or QEMU's own emulation: tried, not believed. */
#include "driver_accel.h"

#include <string.h>
#include <sys/stat.h>

#include "driver_qemu_session.h"
#include "fsutil.h"
#include "host.h"
#include "proc.h"

enum { TRY_S = 20, SMALL_FILE = 256 };

static bool nested(void)
{
	static const char *const files[] = {
		"/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested",
	};

	for (size_t i = 0; i < PV_COUNT(files); i++) {
		pv_autofree char *text = NULL;
		if (pv_read_file(files[i], SMALL_FILE, &text, NULL, NULL) == 0 && (*text == 'Y' || *text == '1'))
			return true;
	}
	return false;
}

/* NULL: worth a try. */
static const char *why_not(void)
{
	struct stat st;

	if (stat("/dev/kvm", &st) < 0)
		return "there is no /dev/kvm";
	if ((st.st_mode & 06) != 06)
		return "/dev/kvm is not open to everybody, as a QEMU without the caller's rights needs it";
	if (!nested())
		return "the host's KVM does not nest";
	if (pv_host_kvm_probe() != PV_KVM_WORKS)
		return "/dev/kvm opens, but a guest hardly moves";
	return NULL;
}

/* "BOOT-ID QEMU-VERSION yes" */
static char *expected_record(const char *version, bool works)
{
	pv_autofree char *id = NULL;

	if (pv_read_file("/proc/sys/kernel/random/boot_id", SMALL_FILE, &id, NULL, NULL) < 0)
		return NULL;
	id[strcspn(id, "\n")] = '\0';
	return pv_fmt("%s %s %s\n", id, version, works ? "yes" : "no");
}

static bool remembered(const char *path, const char *version, bool *ret_works)
{
	pv_autofree char *text = NULL, *yes = expected_record(version, true), *no = expected_record(version, false);

	if (!yes || pv_read_file(path, SMALL_FILE, &text, NULL, NULL) < 0)
		return false;
	*ret_works = pv_streq(text, yes);
	return *ret_works || pv_streq(text, no);
}

static int try_boot(const struct pv_driver_run *run, const struct pv_dom0 *dom0, const struct pv_qemu_machine *machine,
		    bool *ret_works, struct pv_error *err)
{
	struct pv_qemu_session s = {
		.machine = machine, .files = PV_QEMU_FILES_INIT, .dom0 = dom0, .work_dir = run->work_dir, .save_fd = -1,
		.hello_s = TRY_S,
	};
	int rc = pv_qemu_session_run(&s, err);

	*ret_works = rc == 0 && s.hello;
	pv_qemu_session_done(&s);
	if (rc < 0 && !pv_proc_interrupted()) {
		/* QEMU or Xen cannot do it: that is the answer. */
		pv_error_clear(err);
		rc = 0;
	}
	return rc;
}

int pv_driver_accel(const struct pv_driver_run *run, const struct pv_dom0 *dom0, const char *qemu_version,
		    struct pv_qemu_machine *machine, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dom0->dir, "kvm"), *record = NULL;
	const char *not = why_not();
	struct pv_qemu_machine with_kvm = *machine;
	bool works = false;

	machine->kvm = false;
	if (not) {
		pv_vars_setf(run->facts, "kvm", "not used: %s", not);
		return 0;
	}
	with_kvm.kvm = true;
	if (!remembered(path, qemu_version, &works)) {
		if (try_boot(run, dom0, &with_kvm, &works, err) < 0)
			return -1;
		record = expected_record(qemu_version, works);
		/* What is not remembered is tried again. */
		if (record)
			(void)!pv_write_file(path, record, strlen(record), 0644, NULL);
	}
	machine->kvm = works;
	pv_vars_set(run->facts, "kvm", works ? "used: Xen boots with it" : "not used: Xen does not boot with it");
	return 0;
}
