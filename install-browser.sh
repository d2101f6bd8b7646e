#!/bin/sh
# Chromium and its driver for the tests of the review page, where apt may install them; elsewhere these tests are skipped.
set -eu
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "installing chromium chromium-driver ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null || true
fi
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
echo "Chromium is missing, the tests of the review page are skipped (Debian: as root, apt-get install chromium chromium-driver)."
