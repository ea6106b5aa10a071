/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a guest prints and reports, and whatever dom0 saw of it: judged, and told in JSON and words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

static void take(struct pv_evidence *seen, uint64_t ms, char *line)
{
	struct pv_vars *tables[] = { &seen->probe, &seen->dom0, &seen->outside, &seen->load, &seen->marks };
	char *equals = strchr(line, '=');

	if (*line >= '0' && *line <= '4' && equals) {
		pv_autofree char *value = pv_printable(equals + 1, strlen(equals + 1));
		*equals = '\0';
		pv_vars_set(tables[*line - '0'], line + 1, value);
	} else if (*line == 's') {
		pv_strv_take(&seen->screen, pv_printable(line + 1, strlen(line + 1)));
	} else if (*line == 'e' && !seen->ended) {
		seen->ended = pv_printable(line + 1, strlen(line + 1));
	} else if (*line == 'f' && !seen->failed) {
		seen->failed = pv_printable(line + 1, strlen(line + 1));
	} else if (*line == 'd') {
		seen->deadline = true;
	} else {
		pv_evidence_line(seen, ms, line);
	}
}

static void judge(const struct pv_evidence *seen, const struct pv_expect *expect)
{
	const struct pv_verdict_run run = { .driver = "d", .image = "i", .format = "raw" };
	pv_autoverdict v = { 0 };

	pv_verdict_judge(seen, expect, &v);
	pv_autofree char *json = pv_verdict_json(&v, &run), *text = pv_verdict_text(&v, &run, true);
	/* Green is only what has no cause; what is fatal has not booted. */
	if (v.green != (v.cause == NULL) || strlen(json) < 10 || strlen(text) < 10)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoevidence seen = { .created = true };
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	struct pv_settings settings = { .memory = 1 << 30, .vcpus = 1, .reserve_mib = 128 };
	char *rest = text, *line;

	for (uint64_t ms = 0; (line = strsep(&rest, "\n")); ms += 100)
		take(&seen, ms, line);
	seen.have_probe = seen.probe.n > 0;
	seen.have_dom0 = seen.dom0.n > 0;
	(void)pv_verdict_fatal(&seen);
	(void)pv_verdict_up(&seen);
	pv_vars_set(&settings.sysctl, "a", "1");
	pv_vars_set(&settings.memcached, "maxbytes", "1000");
	pv_vars_set(&settings.apache, "MaxRequestWorkers", "5");
	judge(&seen, &(struct pv_expect){ .settings = &settings, .memory = 1 << 30, .vcpus = 1, .boot_budget = 1.5,
					  .reference_ms = 7 });
	judge(&seen, &(struct pv_expect){ .no_dom0 = true, .memory = 1 << 30, .vcpus = 1 });
	pv_settings_done(&settings);
	return 0;
}
