#!/bin/bash
# The published artifact, consumed by reference, is the same thing.
set -e
# shellcheck source=/dev/null
source dev-container-features-test-lib

check "claude runs" bash -c "claude --version | grep -F '@CLAUDE_VERSION@'"
check "verify holds" agent-sandbox verify

reportResults
