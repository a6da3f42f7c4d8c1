#!/bin/sh
#
# sign.sh <seed> <message>
#
# Prints the Ed25519 signature over a message (both in hexadecimal) by the
# private key of that seed (RFC 8032), in hexadecimal, in one line.
set -e
unset LD_LIBRARY_PATH
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unhex() { perl -e 'print pack "H*", shift' "$1"; }
# PKCS#8: SEQUENCE { version, algorithm, OCTET STRING { OCTET STRING seed } }
unhex "302e020100300506032b657004220420$1" | openssl pkey -inform DER -out "$dir/key"
unhex "$2" >"$dir/message"
openssl pkeyutl -sign -rawin -inkey "$dir/key" -in "$dir/message" | od -An -v -tx1 | tr -d ' \n'
