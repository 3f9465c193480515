#!/bin/bash
# What an existing cron or CI line calls: deploys one service, as the script of this name always did, by way of baton.
#   deploy.sh                    deploys APP_NAME (hotgo), from what its settings say
#   APP_NAME=shop deploy.sh      another service
#   GIT_BRANCH=release deploy.sh another branch than [deploy] ref
#   deploy.sh --quick            whatever `baton deploy` takes
# Called quick-update.sh it deploys without backup and bake. What was in the configuration at the top of the old script
# (APP_DIR, BACKUP_DIR, GIT_REPO) stands in /etc/baton/NAME.toml now. Ends with 0 when the new release serves, with
# baton's exit status otherwise.
set -euo pipefail
name=${APP_NAME:-hotgo}
for variable in APP_DIR BACKUP_DIR GIT_REPO; do
  [ -z "${!variable:-}" ] || echo "deploy.sh: $variable is not looked at; /etc/baton/$name.toml says it" >&2
done
words=(deploy "$name")
[ -z "${GIT_BRANCH:-}" ] || words+=(--ref "$GIT_BRANCH")
[ "${0##*/}" != quick-update.sh ] || words+=(--quick)
# As before: root, or somebody whom sudo lets without asking.
if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then exec sudo -n "${BATON:-baton}" "${words[@]}" "$@"; fi
exec "${BATON:-baton}" "${words[@]}" "$@"
