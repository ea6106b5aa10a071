/* SPDX-License-Identifier: Apache-2.0 */
/* The order of package versions, Debian Policy 5.6.12 (deb-version(7)). */
#ifndef PV_DEBVERSION_H
#define PV_DEBVERSION_H

/* Less than, equal to or greater than 0 as a is older, equal or newer. Any text is taken; "1.0" equals "0:1.0-0". */
int pv_debversion_compare(const char *a, const char *b);

#endif
