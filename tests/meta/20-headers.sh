#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone.
exec make --no-print-directory check-headers
