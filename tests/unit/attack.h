/* SPDX-License-Identifier: Apache-2.0 */
/* What test_sandbox runs inside: this very program, started again with a word that says what to try. */
#ifndef PV_TEST_ATTACK_H
#define PV_TEST_ATTACK_H

/* Exit code 0: everything the word stands for was refused (or, for harmless words, worked); else a line on stderr says
 * what was not. 2: no such word. */
int attack(int argc, char **argv);

#endif
