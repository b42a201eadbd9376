#!/bin/sh
# Scan, build and push a commit with the same tools and databases, one after the other, and nothing else.
# From the environment: TREE (the checkout), SINCE and REVISION (the commits), OUT (a scratch folder), NAME (the image
# with its tag), the programs TRUFFLEHOG SAFETY TRIVY HELM BUILDX, SAFETY_DB, TRIVY_CACHE, BUILD (more options of buildx),
# REMOTE and BRANCH (where Argo CD finds the commit).
set -eu
cd "$TREE"
"$TRUFFLEHOG" git "file://$TREE" --branch="$REVISION" --since-commit="$SINCE" --results=verified,unknown --fail --json --no-update >"$OUT/secrets" 2>"$OUT/log"
for lock in requirements.txt service/requirements.txt; do
    "$SAFETY" --disable-optional-telemetry check --db "$SAFETY_DB" --json -r "$lock" >"$OUT/deps" 2>"$OUT/log" || [ $? -eq 64 ]
done
mkdir -p "$OUT/tree"
git archive "$REVISION" | tar -x -C "$OUT/tree"
"$HELM" template slipway k8s/helm --values k8s/helm/ci/release-values.yaml >"$OUT/tree/rendered.yaml"
"$TRIVY" config --skip-check-update --misconfig-scanners dockerfile,kubernetes,terraform --format json --exit-code 0 "$OUT/tree" >"$OUT/config" 2>"$OUT/log"
# shellcheck disable=SC2086 # BUILD holds several options
"$BUILDX" build --progress=plain --network=host --provenance=false --load --tag="$NAME" --build-arg=REVISION="$REVISION" $BUILD "$OUT/tree/service" >"$OUT/log" 2>&1
docker save --output "$OUT/image.tar" "$NAME"
"$TRIVY" image --scanners vuln --skip-db-update --skip-java-db-update --offline-scan --cache-dir "$TRIVY_CACHE" --cache-backend memory --input "$OUT/image.tar" --format json --exit-code 0 >"$OUT/image" 2>"$OUT/log"
"$TRIVY" image --format cyclonedx --offline-scan --cache-dir "$OUT" --cache-backend memory --input "$OUT/image.tar" >"$OUT/sbom" 2>"$OUT/log"
docker push --quiet "$NAME" >/dev/null
git push --quiet --force "$REMOTE" "$REVISION:refs/heads/$BRANCH"
