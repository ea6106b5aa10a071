/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to the variables of its overlays. */
#include "planvars.h"

#include <string.h>

#include "bootcfg.h"
#include "text.h"

static void set_flag(struct pv_vars *vars, const char *name, bool on)
{
	pv_vars_set(vars, name, on ? "yes" : "");
}

static void set_line(struct pv_vars *vars, const char *name, bool on, const char *line)
{
	pv_vars_set(vars, name, on ? line : "");
}

static bool option_on(const struct pv_plan *plan, const char *key)
{
	return pv_streq(pv_recipe_option(plan->recipe, key), "true");
}

static char *join(const char *const *list, const char *sep)
{
	pv_autostrv all = PV_STRV_INIT;

	if (list)
		pv_strv_add_all(&all, list);
	return pv_strv_join(&all, sep);
}

/* Where a mirror's security updates are: beside it ("debian" -> "debian-security") or, without a sibling, in it. */
static char *security_of(const char *mirror, const char *sibling)
{
	size_t len = strlen(mirror);

	while (len > 0 && mirror[len - 1] == '/')
		len--;
	if (!sibling)
		return pv_xstrndup(mirror, len);
	while (len > 0 && mirror[len - 1] != '/')
		len--;
	pv_autofree char *base = pv_xstrndup(mirror, len);
	return pv_fmt("%s%s", base, sibling);
}

static void set_suite(const struct pv_plan *plan, struct pv_vars *vars)
{
	const struct pv_suite *suite = plan->suite;
	const struct pv_recipe *recipe = plan->recipe;
	const char *mirror = recipe->image_mirror;
	pv_autofree char *components = recipe->components.n > 0 ? pv_strv_join(&recipe->components, " ") :
								  join(suite->components, " ");
	pv_autofree char *security = mirror ? security_of(mirror, suite->security_sibling) : pv_xstrdup("");

	pv_vars_set(vars, "image_name", plan->name);
	pv_vars_set(vars, "hostname", recipe->hostname ? recipe->hostname : recipe->distribution);
	pv_vars_set(vars, "distribution", suite->distribution);
	pv_vars_set(vars, "codename", suite->codename);
	pv_vars_set(vars, "suite_version", suite->version);
	pv_vars_set(vars, "suite_updates", suite->updates);
	pv_vars_set(vars, "suite_security", suite->security);
	pv_vars_set(vars, "apt_components", components);
	pv_vars_set(vars, "image_mirror", mirror ? mirror : "");
	pv_vars_set(vars, "image_security_mirror", security);
	/* With a mirror of the recipe's, cloud-init must not write sources of its own at first boot. */
	set_line(vars, "cloud_apt_lines", mirror, "apt:\n  preserve_sources_list: true");
	pv_vars_set(vars, "archive_keyring", suite->keyring_member[0] == '.' ? suite->keyring_member + 1 :
									       suite->keyring_member);
}

static void set_boot(const struct pv_plan *plan, struct pv_vars *vars)
{
	char uuid[37];
	const struct pv_suite *suite = plan->suite;
	pv_autofree char *lines = join(suite->initramfs_modules, "\n");
	pv_autofree char *words = join(suite->initramfs_modules, " ");

	pv_uuid_text(plan->root_fs_uuid, uuid);
	pv_vars_set(vars, "root_uuid", uuid);
	pv_uuid_text(plan->root.uuid, uuid);
	pv_vars_set(vars, "root_partuuid", uuid);
	pv_vars_setf(vars, "root_number", "%u", plan->root.number);
	pv_vars_setf(vars, "esp_uuid", "%04X-%04X", plan->esp_volume_id >> 16, plan->esp_volume_id & 0xffff);
	pv_vars_set(vars, "kernel_cmdline", PV_BOOTCFG_CMDLINE);
	set_flag(vars, "initramfs_tools", suite->initramfs == PV_INITRAMFS_TOOLS);
	set_flag(vars, "dracut", suite->initramfs == PV_INITRAMFS_DRACUT);
	pv_vars_set(vars, "initramfs_modules", lines);
	pv_vars_set(vars, "initramfs_modules_line", words);
	/* mkinitramfs and dracut both fall back to gzip where the kernel or the tree has no zstd. */
	pv_vars_set(vars, "initramfs_compress", "zstd");
}

static void set_network(const struct pv_plan *plan, struct pv_vars *vars)
{
	enum pv_network_renderer renderer = plan->suite->network;

	/* cloud-init's words for them (cloudinit/net/renderers.py); the first that the image has is taken. */
	static const char *const names[] = {
		[PV_NETWORK_NETPLAN] = "netplan, networkd, eni",
		[PV_NETWORK_NETWORKD] = "networkd, netplan, eni",
		[PV_NETWORK_IFUPDOWN] = "eni, netplan, networkd",
	};
	pv_vars_set(vars, "network_renderers", names[renderer]);
	set_flag(vars, "networkd", renderer != PV_NETWORK_IFUPDOWN);
	set_flag(vars, "ifupdown", renderer == PV_NETWORK_IFUPDOWN);
}

static void set_memcached(const struct pv_plan *plan, struct pv_vars *vars)
{
	const struct pv_sizing *sizing = &plan->sizing;
	bool lock = option_on(plan, "memcached-lock-memory");
	unsigned cpus = sizing->memcached_threads < sizing->vcpus ? sizing->memcached_threads : sizing->vcpus;
	pv_autofree char *affinity = pv_fmt("CPUAffinity=0-%u", cpus > 0 ? cpus - 1 : 0);

	pv_vars_setf(vars, "memcached_mib", "%u", sizing->memcached_mib);
	pv_vars_setf(vars, "memcached_connections", "%u", sizing->memcached_connections);
	pv_vars_setf(vars, "memcached_threads", "%u", sizing->memcached_threads);
	pv_vars_setf(vars, "memcached_backlog", "%u", sizing->memcached_backlog);
	pv_vars_setf(vars, "memcached_nofile", "%u", sizing->memcached_nofile);
	/* memcached -L asks for transparent huge pages by madvise(2) and takes all of -m at once; -k locks by mlockall(2)
	 * after it has given up root, so the limit must allow it. */
	set_line(vars, "memcached_large_pages_line", option_on(plan, "memcached-large-pages"), "-L");
	set_line(vars, "memcached_lock_memory_line", lock, "-k");
	set_line(vars, "memcached_memlock_line", lock, "LimitMEMLOCK=infinity");
	set_line(vars, "memcached_affinity_line", option_on(plan, "memcached-pin-cpus"), affinity);
}

static void set_apache(const struct pv_sizing *sizing, struct pv_vars *vars)
{
	pv_vars_setf(vars, "apache_start_servers", "%u", sizing->apache_start_servers);
	pv_vars_setf(vars, "apache_server_limit", "%u", sizing->apache_server_limit);
	pv_vars_setf(vars, "apache_thread_limit", "%u", sizing->apache_thread_limit);
	pv_vars_setf(vars, "apache_threads_per_child", "%u", sizing->apache_threads_per_child);
	pv_vars_setf(vars, "apache_min_spare_threads", "%u", sizing->apache_min_spare_threads);
	pv_vars_setf(vars, "apache_max_spare_threads", "%u", sizing->apache_max_spare_threads);
	pv_vars_setf(vars, "apache_max_request_workers", "%u", sizing->apache_max_request_workers);
	pv_vars_setf(vars, "apache_listen_backlog", "%u", sizing->apache_listen_backlog);
	pv_vars_setf(vars, "apache_nofile", "%u", sizing->apache_nofile);
}

static void set_sysctl(const struct pv_sizing *sizing, struct pv_vars *vars)
{
	pv_vars_setf(vars, "memory_mib", "%llu", (unsigned long long)sizing->memory_mib);
	pv_vars_setf(vars, "vcpus", "%u", sizing->vcpus);
	pv_vars_setf(vars, "somaxconn", "%u", sizing->somaxconn);
	pv_vars_setf(vars, "tcp_max_syn_backlog", "%u", sizing->tcp_max_syn_backlog);
	pv_vars_setf(vars, "tcp_fin_timeout", "%u", sizing->tcp_fin_timeout);
	pv_vars_setf(vars, "swappiness", "%u", sizing->swappiness);
	pv_vars_setf(vars, "socket_buffer_max", "%llu", (unsigned long long)sizing->socket_buffer_max);
}

void pv_plan_vars(const struct pv_plan *plan, struct pv_vars *ret)
{
	set_suite(plan, ret);
	set_boot(plan, ret);
	set_network(plan, ret);
	set_memcached(plan, ret);
	set_apache(&plan->sizing, ret);
	set_sysctl(&plan->sizing, ret);
}
