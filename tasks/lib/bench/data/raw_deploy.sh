#!/bin/sh
# A release into an environment without Slipway: git push, refresh, and kubectl until it runs.
# From the environment: CLONE (a clone of the remote), VALUES (the file in it), REVISION, DIGEST, APPLICATION,
# NAMESPACE, KUBECTL (with its options).
set -eu
cd "$CLONE"
git fetch --quiet origin main
git reset --quiet --hard FETCH_HEAD
sed -i -e "s/\"revision\": \".*\"/\"revision\": \"$REVISION\"/" -e "s/\"tag\": \".*\"/\"tag\": \"$REVISION\"/" \
    -e "s/\"digest\": \".*\"/\"digest\": \"$DIGEST\"/" "$VALUES"
git -c user.name=raw -c user.email=raw@localhost commit --quiet --message "bump to $REVISION" "$VALUES"
git push --quiet origin HEAD:main
$KUBECTL --namespace argocd annotate applicationset slipway --overwrite argocd.argoproj.io/application-set-refresh=true >/dev/null
state='{.status.sync.revision} {.status.sync.status} {.status.health.status}'
until [ "$($KUBECTL --namespace argocd get application "$APPLICATION" --output "jsonpath=$state")" = "$REVISION Synced Healthy" ]; do
    sleep 0.25
done
$KUBECTL --namespace "$NAMESPACE" rollout status deployment/slipway-service >/dev/null
