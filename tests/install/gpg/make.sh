#!/bin/sh
# Makes the keys and signatures in this folder with GnuPG 2.2 or later, an implementation that is not ours.
# The private keys are thrown away. Run it only to add a case: every run makes other keys.
set -eu

cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT

# Everything happens at noon of the first day of a month: `at 2026-03 ...`.
at() {
    month=$1
    shift
    gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' \
        --faked-system-time "$(echo "$month-01" | tr -d -)T120000!" "$@"
}

# key NAME ALGORITHM USAGE EXPIRY
key() {
    at 2026-01 --quick-generate-key "$1 <$1@example.com>" "$2" "$3" "$4"
}

sign() {
    out=$1
    shift
    at "$@" --output "$out" --detach-sign manifest.json
}

fingerprint() {
    gpg --batch --with-colons --list-keys "=$1 <$1@example.com>" | sed -n 's/^fpr:*\([0-9A-F]*\):$/\1/p' | head -n 1
}

printf '%s\n' '{"version":"2.1.330","platforms":{"linux-x64":{"checksum":"none","size":1}}}' >manifest.json

key rsa rsa2048 sign never
sign rsa.sig 2026-03 -u rsa@example.com
sign rsa-armor.sig 2026-03 -u rsa@example.com --armor --comment 'a comment'
sign rsa-sha256.sig 2026-03 -u rsa@example.com --digest-algo SHA256
sign rsa-sha384.sig 2026-03 -u rsa@example.com --digest-algo SHA384
sign rsa-sha1.sig 2026-03 -u rsa@example.com --digest-algo SHA1
sign rsa-text.sig 2026-03 -u rsa@example.com --textmode
sign rsa-limited.sig 2026-03 -u rsa@example.com --default-sig-expire 30d
sign rsa-early.sig 2025-03 -u rsa@example.com --ignore-time-conflict
sign rsa-notation.sig 2026-03 -u rsa@example.com --set-notation '!must@example.com=x'
at 2026-03 --export rsa@example.com >rsa.key
at 2026-03 --armor --export rsa@example.com >rsa.asc

# A primary key that only certifies, with a key to sign and one to encrypt.
key subkeys ed25519 cert never
fpr=$(fingerprint subkeys)
at 2026-01 --quick-add-key "$fpr" ed25519 sign 2y
at 2026-01 --quick-add-key "$fpr" cv25519 encr never
sign subkeys.sig 2026-03 -u subkeys@example.com
at 2026-03 --armor --export subkeys@example.com >subkeys.asc

at 2026-03 --armor --export >both.asc

key expiring rsa2048 sign 1y
sign expiring.sig 2026-03 -u expiring@example.com
at 2026-03 --armor --export expiring@example.com >expiring.asc
# Its owner gives it another ten years.
at 2026-06 --quick-set-expire "$(fingerprint expiring)" 10y
at 2026-06 --armor --export expiring@example.com >prolonged.asc

key encrypting rsa2048 encr,cert never
at 2026-03 --armor --export encrypting@example.com >encrypting.asc

# A key whose own signature is over a SHA-1.
at 2026-01 --cert-digest-algo SHA1 --quick-generate-key 'weak <weak@example.com>' rsa2048 sign never
sign weak.sig 2026-03 -u weak@example.com
at 2026-03 --armor --export weak@example.com >weak.asc

# The subkey is taken back, then the whole key.
printf 'key 1\nrevkey\ny\n0\n\ny\nsave\n' |
    at 2026-05 --command-fd 0 --status-fd 2 --expert --edit-key "$fpr" >/dev/null 2>&1
at 2026-05 --armor --export subkeys@example.com >subkey-revoked.asc
sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$(fingerprint rsa).rev" | at 2026-05 --import
at 2026-05 --armor --export rsa@example.com >revoked.asc

for name in rsa subkeys expiring weak encrypting; do
    echo "$name $(fingerprint "$name")"
done >fingerprints
