#!/bin/sh
# Writes the files of kustomization.yaml with random secrets, once. What it cannot make comes from the environment:
#
#   WILDTAG_S3_ACCESS_KEY, WILDTAG_S3_SECRET_KEY              the key pair of wildtag's user of the object store
#   WILDTAG_S3_ADMIN_ACCESS_KEY, WILDTAG_S3_ADMIN_SECRET_KEY  who may set up the bucket; only for components/minio
#   WILDTAG_REDIS_URL, WILDTAG_QDRANT_API_KEY                 of servers elsewhere; by default those of the overlay single-node
#   WILDTAG_BROKER_URL, WILDTAG_NOTIFY_URL, HF_TOKEN          if you have them
set -eu
umask 077
cd "$(dirname "$0")"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# file, then its lines. A line without a value is left out: what a Secret lacks is not set. Redis needs its second password, also an
# empty one
write() {
    file=$1
    shift
    if [ -e "$file" ]; then echo "$file exists and is left as it is" >&2; return; fi
    for line; do case "$line" in REDIS_PASSWORD_PREVIOUS=*) printf '%s\n' "$line" ;; *=) ;; *) printf '%s\n' "$line" ;; esac; done > "$file"
}

: "${WILDTAG_S3_ACCESS_KEY:?the key pair of the object store}" "${WILDTAG_S3_SECRET_KEY:?the key pair of the object store}"
password=$(random)
write redis.env "REDIS_PASSWORD=$password" "REDIS_PASSWORD_PREVIOUS=" \
    "WILDTAG_REDIS_URL=${WILDTAG_REDIS_URL:-redis://:$password@redis:6379/0}" \
    "WILDTAG_BROKER_URL=${WILDTAG_BROKER_URL:-}"
write captions.env "WILDTAG_QDRANT_API_KEY=${WILDTAG_QDRANT_API_KEY:-$(random)}"
write store.env "WILDTAG_S3_ACCESS_KEY=$WILDTAG_S3_ACCESS_KEY" "WILDTAG_S3_SECRET_KEY=$WILDTAG_S3_SECRET_KEY"
write store-admin.env "WILDTAG_S3_ACCESS_KEY=${WILDTAG_S3_ADMIN_ACCESS_KEY:-}" \
    "WILDTAG_S3_SECRET_KEY=${WILDTAG_S3_ADMIN_SECRET_KEY:-}"
write gateway.env "WILDTAG_WEBHOOK_TOKEN=$(random)" "WILDTAG_ADMIN_KEY=$(random)"
write flower.env "WILDTAG_FLOWER_AUTH=operator:$(random)"
write notifier.env "WILDTAG_NOTIFY_URL=${WILDTAG_NOTIFY_URL:-}" "WILDTAG_NOTIFY_SECRET=${WILDTAG_NOTIFY_SECRET:-}"
write hub.env "HF_TOKEN=${HF_TOKEN:-}"
