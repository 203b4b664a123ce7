#!/bin/sh
# Fetches a file from the user's Maven repository with the Maven of a root file system, which stays as it is.
#
#   maven.sh ROOT INTO ARTIFACT
#
#   ROOT      a Debian root file system with maven     INTO  directory that receives the file
#   ARTIFACT  group:artifact:version:type:classifier
#
# Needs root. Uses the host's name servers, certificate authorities and ~/.m2/settings.xml.
set -eu
export root="$1" into="$2" artifact="$3"
export plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
work=$(mktemp -d "$into/work.XXXXXX")
export work
trap 'rm -rf "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root"
# shellcheck disable=SC2016 # expanded by the inner shell
unshare --mount --propagation private sh -euc '
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
  cd "$work/root"
  mount -t proc proc proc
  mkdir -p out root/.m2 root/authorities
  mount --bind "$into" out
  cp -L /etc/resolv.conf /etc/hosts etc/
  [ ! -e "$HOME/.m2/settings.xml" ] || cp "$HOME/.m2/settings.xml" root/.m2/
  # Java reads authorities from a key store of its own: one file a certificate makes it.
  awk "/BEGIN CERT/ { n++ } n { print > (\"root/authorities/\" n \".pem\") }" \
    /etc/ssl/certs/ca-certificates.crt
  export HOME=/root
  for pem in root/authorities/*.pem; do echo "+/$pem"; done |
    chroot . java -jar /usr/share/ca-certificates-java/ca-certificates-java.jar \
      -storepass changeit >java.log 2>&1 || { cat java.log && exit 1; }
  chroot . mvn --batch-mode --quiet -Dmaven.repo.local=/root/.m2/repository "$plugin:copy" \
    "-Dartifact=$artifact" -DoutputDirectory=/out
'
