/* SPDX-License-Identifier: Apache-2.0 */
/* report.html: a result's records as one page for people. */
#ifndef PV_PAGE_H
#define PV_PAGE_H

#include "error.h"

/* Makes DIR/report.html of DIR/report.json and, where they are there, manifest.json and verdict.json: one file that
 * loads nothing and needs no scripts. Whatever the records say is text in it. The same records give the same page.
 * Appears whole or not at all. PV_ERR_STAGE: no report, or it cannot be written. */
int pv_page_write(const char *dir, struct pv_error *err) PV_MUST_CHECK;

#endif
