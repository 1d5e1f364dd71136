#!/bin/sh
# Makes what the image is copied from: root, with the program, the certificates of
# authorities, time zones, a user and a folder for what passes; and data, which is
# to be that user's. They are two, for what is there already keeps its owner when
# it is copied over.
#
#   deploy/root.sh PROGRAM FOLDER
set -eu
program=$1 root=$2/root data=$2/data
mkdir -p "$root/etc/ssl/certs" "$root/usr/share" "$root/tmp" "$data"
cp "$program" "$root/watchword"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -R /usr/share/zoneinfo "$root/usr/share/"
echo 'watchword:x:65532:65532::/data:/watchword' >"$root/etc/passwd"
echo 'watchword:x:65532:' >"$root/etc/group"
chmod 755 "$root" "$root/watchword"
chmod 1777 "$root/tmp"
chmod 700 "$data"
