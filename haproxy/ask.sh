#!/bin/sh
# What push.sh asks that no shell can ask: the admin socket, a web server, the kernel. The language is Perl.
# shellcheck disable=SC2154 # common.sh sets $socket

# ask_socket COMMAND: what HAProxy answers on its admin socket.
ask_socket() {
  perl -MIO::Socket::UNIX -e '
    alarm 3;
    my ($path, $command) = @ARGV;
    my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 1;
    print $socket "$command\n";
    print while <$socket>;' "$socket" "$1"
}

# ask_http SOCKET: the body of the answer of a web server on a Unix socket, whatever its status.
ask_http() {
  perl -MIO::Socket::UNIX -e '
    alarm 3;
    my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
    print $socket "GET / HTTP/1.0\r\n\r\n";
    local $/;
    <$socket> =~ m{^HTTP/.*?\r\n\r\n(.*)}s or exit 1;
    print $1;' "$1"
}

# try_to_bind ADDRESS PORT: why HAProxy could not listen there; nothing when it could. Takes no connections.
try_to_bind() {
  perl -MSocket=:DEFAULT,inet_pton,pack_sockaddr_in6 -e '
    my ($address, $port) = @ARGV;
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $packed = inet_pton($family, $address) or exit;
    socket(my $socket, $family, SOCK_STREAM, 0) or exit;
    setsockopt($socket, SOL_SOCKET, $_, 1) for SO_REUSEADDR, SO_REUSEPORT;
    my $pack = $family == AF_INET6 ? \&pack_sockaddr_in6 : \&pack_sockaddr_in;
    bind($socket, $pack->($port, $packed)) or print $!;' "$1" "$2"
}
