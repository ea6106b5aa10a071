#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli/65-cache-remote.sh with all that a registry may say.
# time limit: 1800
set -eu
PVIMG_LIES=all exec sh tests/cli/65-cache-remote.sh
