/* SPDX-License-Identifier: Apache-2.0 */
/* dom0's facts: what a connected PVHVM guest shows, and that a guest's own words prove nothing by themselves. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "dom0facts.h"
#include "text.h"

/* As Xen 4.17 and its tools print them. */
#define DOM0 \
	"domid 3\n" \
	"xs /libxl/3/type = \"hvm\"\n" \
	"xs /libxl/3/device/vbd/2048/frontend = \"/local/domain/3/device/vbd/2048\"\n" \
	"xs /libxl/3/device/vbd/2048/backend = \"/local/domain/0/backend/vbd/3/2048\"\n" \
	"xs /libxl/3/device/vbd/51776/backend = \"/local/domain/0/backend/qdisk/3/51776\"\n" \
	"xs /libxl/3/device/vif/0/backend = \"/local/domain/0/backend/vif/3/0\"\n"
#define BACKENDS \
	"xs /local/domain/0/backend/vbd/3/2048/state = \"4\"\n" \
	"xs /local/domain/0/backend/qdisk/3/51776/state = \"4\"\n" \
	"xs /local/domain/0/backend/vif/3/0/state = \"4\"\n"
#define FRONTENDS \
	"xs /local/domain/3/device/vbd/2048/state = \"4\"\n" \
	"xs /local/domain/3/device/vbd/51776/state = \"4\"\n" \
	"xs /local/domain/3/device/vif/0/state = \"4\"\n"
#define XEN \
	"xen 'I' pressed -> dumping HVM irq info\n" \
	"xen Domain 2:\n" \
	"xen Callback via 1:0x1c, asserted\n" \
	"xen Domain 3:\n" \
	"xen GSI [0 - 7] 00 00 00 00 00 00 00 00\n" \
	"xen Callback via 3:0xf3, not asserted\n" \
	"xen 'e' pressed -> dumping event-channel info\n" \
	"xen Event channel information for domain 2:\n" \
	"xen 1 [0/0/  -   ]: s=5 n=0 x=0 v=0\n" \
	"xen Event channel information for domain 3:\n" \
	"xen Polling vCPUs: {}\n" \
	"xen     port [p/m/s]\n" \
	"xen 1 [0/0/  -   ]: s=3 n=0 x=1 d=0 p=29\n" \
	"xen 2 [0/1/  -   ]: s=3 n=0 x=0 d=0 p=30\n" \
	"xen 3 [0/0/  -   ]: s=5 n=0 x=0 v=0\n" \
	"xen 4 [0/0/  -   ]: s=6 n=0 x=0\n" \
	"xen       15 [1/0/ -   ]: s=6 n=1 x=0\n"
#define MONITOR_UNPLUGGED \
	"version 7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\n" \
	"pci   Bus  0, device   0, function 0:\n" \
	"pci     Host bridge: PCI device 8086:1237\n" \
	"pci   Bus  0, device   1, function 1:\n" \
	"pci     IDE controller: PCI device 8086:7010\n" \
	"block \n"

static void read_facts(const char *text, struct pv_vars *ret)
{
	pv_autofree char *copy = pv_xstrdup(text);
	struct pv_dom0facts *f = pv_dom0facts_new();
	char *rest = NULL;

	*ret = (struct pv_vars){ 0 };
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		pv_dom0facts_line(f, line);
	pv_dom0facts_end(f, ret);
	pv_dom0facts_free(f);
}

static void expect(const char *text, const char *name, const char *value)
{
	struct pv_vars facts;

	read_facts(text, &facts);
	const char *seen = pv_vars_get(&facts, name);
	if (!pv_streq(seen, value))
		fail_msg("%s: %s, not %s", name, seen ? seen : "(none)", value ? value : "(none)");
	pv_vars_done(&facts);
}

static void test_pvhvm(void **state)
{
	(void)state;
	static const char text[] = DOM0 BACKENDS FRONTENDS XEN MONITOR_UNPLUGGED;
	static const char *const want[][2] = {
		{ "domain_type", "hvm" }, { "vbd", "2 of 2 connected" }, { "vif", "1 of 1 connected" },
		{ "callback", "vector 0xf3" }, { "channels", "3" }, { "unplugged_nic", "yes" },
		{ "unplugged_disk", "yes" }, { "device_model", "7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3" },
	};

	for (size_t i = 0; i < PV_COUNT(want); i++)
		expect(text, want[i][0], want[i][1]);
}

static void test_both_ends_must_agree(void **state)
{
	(void)state;
	/* A guest may write what it likes below /local/domain/3. */
	expect(DOM0 FRONTENDS, "vbd", "0 of 2 connected");
	expect(DOM0 BACKENDS, "vbd", "0 of 2 connected");
	expect(DOM0 BACKENDS, "vif", "0 of 1 connected");
	expect(DOM0 BACKENDS FRONTENDS "xs /local/domain/3/device/vbd/9/backend = \"/local/domain/3/data/x\"\n"
	       "xs /local/domain/3/device/vbd/9/state = \"4\"\n", "vbd", "2 of 2 connected");
	expect(DOM0 "xs /local/domain/0/backend/vbd/3/2048/state = \"4\"\n"
	       "xs /local/domain/3/device/vbd/2048/state = \"4\"\n", "vbd", "1 of 2 connected");
	/* dom0's word came first */
	expect(DOM0 "xs /local/domain/0/backend/vif/3/0/state = \"2\"\n" FRONTENDS
	       "xs /local/domain/0/backend/vif/3/0/state = \"4\"\n", "vif", "0 of 1 connected");
	/* another domain's */
	expect(DOM0 BACKENDS "xs /local/domain/2/device/vif/0/state = \"4\"\n", "vif", "0 of 1 connected");
}

static void test_type(void **state)
{
	(void)state;
	expect("domid 3\nxs /libxl/3/type = \"pvh\"\n", "domain_type", "pvh");
	expect("domid 3\nxs /libxl/3/type = \"pv\"\n", "domain_type", "pv");
	expect("domid 3\nxs /libxl/3/type = \"hvm2\"\n", "domain_type", NULL);
	expect("domid 3\nxs /libxl/4/type = \"hvm\"\n", "domain_type", NULL);
	expect("domid 3\nxs /local/domain/3/libxl/3/type = \"hvm\"\n", "domain_type", NULL);
	expect("domid 0\nxs /libxl/0/type = \"hvm\"\n", "domain_type", NULL);
	expect("xs /libxl/3/type = \"hvm\"\n", "domain_type", NULL);
}

static void test_callback(void **state)
{
	(void)state;
	expect(DOM0 "xen Domain 3:\nxen Callback via 0:0, not asserted\n", "callback", "none");
	expect(DOM0 "xen Domain 3:\nxen Callback via 1:0x1c, not asserted\n", "callback", "gsi 28");
	expect(DOM0 "xen Domain 3:\nxen Callback via 2:0x3, asserted\n", "callback", "pci 0x3");
	expect(DOM0 "xen Domain 30:\nxen Callback via 3:0xf3, not asserted\n", "callback", NULL);
	expect(DOM0 "xen Callback via 3:0xf3, not asserted\n", "callback", NULL);
	expect(DOM0 "xen (d3) Domain 3:\nxen (d3) Callback via 3:0xf3, not asserted\n", "callback", NULL);
	/* vectors of its vcpus go before the callback */
	expect(DOM0 "xen d3v0: upcall vector f3\nxen d3v1: upcall vector f3\nxen Domain 3:\n"
	       "xen Callback via 1:0x1, not asserted\n", "callback", "vector 0xf3");
	expect(DOM0 "xen d2v0: upcall vector f3\nxen (d3) d3v0: upcall vector f3\nxen Domain 3:\n"
	       "xen Callback via 1:0x1, not asserted\n", "callback", "gsi 1");
	/* a Xen that does not log them cannot tell */
#define UNKNOWN "unknown: gsi 1, and this Xen does not log vectors (guest_loglvl=info does)"
#define GSI_1 "xen Domain 3:\nxen Callback via 1:0x1, not asserted\n"
	expect("cmdline dom0_mem=1G\n" DOM0 GSI_1, "callback", UNKNOWN);
	expect("cmdline guest_loglvl=warning/all\n" DOM0 GSI_1, "callback", UNKNOWN);
	expect("cmdline guest_loglvl=info dom0_mem=1G\n" DOM0 GSI_1, "callback", "gsi 1");
	expect("cmdline guest_loglvl=all\ncmdline \n" DOM0 GSI_1, "callback", "gsi 1");
	expect("cmdline \n" DOM0 "xen Domain 3:\nxen Callback via 1:0x1c, not asserted\n", "callback", "gsi 28");
	/* pressed twice: the later one */
	expect(DOM0 XEN "xen Domain 3:\nxen Callback via 0:0, not asserted\n", "callback", "none");
}

static void test_channels(void **state)
{
	(void)state;
	/* dom0's daemons and the device model bind theirs without the guest */
	expect(DOM0 "xen Event channel information for domain 3:\n"
	       "xen 1 [0/0/  -   ]: s=3 n=0 x=1 d=0 p=29\n", "channels", "0");
	expect(DOM0 XEN XEN, "channels", "3");
	expect(DOM0, "channels", NULL);
}

static void test_not_unplugged(void **state)
{
	(void)state;
	expect(DOM0 MONITOR_UNPLUGGED "pci     Ethernet controller: PCI device 10ec:8139\n", "unplugged_nic", "no");
	expect(DOM0 MONITOR_UNPLUGGED "pci     SCSI controller: PCI device 1000:0012\n", "unplugged_disk", "no");
	expect(DOM0 MONITOR_UNPLUGGED "block scsi0-hd0 (#block1): /dev/vda (raw)\n", "unplugged_disk", "no");
	/* a monitor that says nothing is no sign */
	expect(DOM0 "pci Error: cannot connect\n", "unplugged_nic", NULL);
	expect(DOM0 "pci Error: cannot connect\n", "unplugged_disk", NULL);
}

static void test_nonsense(void **state)
{
	(void)state;
	struct pv_vars facts;

	read_facts("\ndomid\ndomid x\nxs\nxs \nxs a\nxs  = \"\nxs  = \"\"\nxen\nxen ]: s=\npci\nblock\nversion\nversion \nfoo bar\n",
		   &facts);
	assert_int_equal(facts.n, 0);
	pv_dom0facts_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pvhvm),
		cmocka_unit_test(test_both_ends_must_agree),
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_not_unplugged),
		cmocka_unit_test(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
