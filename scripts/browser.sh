#!/usr/bin/env bash
# Gets what the browser test needs: a system Chromium, and the players from npm.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  else
    echo "The browser test needs Chromium: install the package 'chromium'." >&2
    exit 1
  fi
fi

bash scripts/node_modules.sh tests/e2e/browser
