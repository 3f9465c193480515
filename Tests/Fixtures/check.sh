#!/bin/sh
# Checks the fixtures themselves: a tool that measures wrongly would make every other test agree with it.
# usage: check.sh [DIRECTORY of fixture-service and fixture-load]   (default: .build/debug)
here=$(dirname "$0")
FIXTURES=${1:-$here/../../.build/debug} exec python3 "$here/check.py" -v
