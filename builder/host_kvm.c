/* SPDX-License-Identifier: Apache-2.0 */
/* Whether KVM is of use here: a guest of two million instructions, in a child, with a time limit. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
#include <linux/kvm.h>
#endif

#include "fsutil.h"

/* A processor with virtualization needs a few ms, QEMU's own translator some 20; KVM without it (PVM, a nested host
 * that lacks the extension) interprets real-mode code like a BIOS and needs seconds. */
enum { TIME_LIMIT_MS = 500, PAGE = 4096 };

#ifdef __x86_64__
/* 0 when the guest reached its HLT. */
static int run_guest(int kvm)
{
	static const unsigned char code[] = {
		0x66, 0xb9, 0x40, 0x42, 0x0f, 0x00,	/* mov ecx, 1000000 */
		0x66, 0x49,				/* dec ecx */
		0x75, 0xfc,				/* jnz -4 */
		0xf4,					/* hlt */
	};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0UL);
	int vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0UL);
	int run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };
	struct kvm_sregs sregs;

	if (vcpu < 0 || run_size < (int)sizeof(struct kvm_run))
		return -1;
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_run *run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (page == MAP_FAILED || run == MAP_FAILED)
		return -1;
	memcpy(page, code, sizeof(code));
	struct kvm_userspace_memory_region region = { .memory_size = PAGE, .userspace_addr = (uintptr_t)page };
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -1;
	return ioctl(vcpu, KVM_RUN, 0UL) == 0 && run->exit_reason == KVM_EXIT_HLT ? 0 : -1;
}
#else
static int run_guest(int kvm)
{
	(void)kvm;
	return -1;
}
#endif

enum pv_host_kvm pv_host_kvm_probe(void)
{
	pv_autoclose int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int status = 0;

	if (kvm < 0)
		return errno == ENOENT || errno == ENXIO || errno == ENODEV ? PV_KVM_ABSENT : PV_KVM_DENIED;
	pid_t pid = fork();
	if (pid < 0)
		return PV_KVM_SLOW;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run_guest(kvm) == 0 ? 0 : 1);
	}
	pv_autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	if (pidfd < 0 || poll(&p, 1, TIME_LIMIT_MS) <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return PV_KVM_SLOW;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PV_KVM_WORKS : PV_KVM_SLOW;
}
