#!/bin/sh
# Tries, from the load balancer, whether the nodes answer; changes nothing.
#
#   sh reach.sh LABEL ADDRESS PORT...
#
# Prints a line for each, `LABEL RESULT`; all are tried at once:
#   open      something listens on the port
#   refused   the address answers, and nothing listens on the port
#   silent    no answer within 3 s
#   unknown   the address is a name that nothing resolves
#   WORDS     why no packet goes there, in the system's words
set -eu

exec perl -MSocket=:DEFAULT,getaddrinfo -MErrno=EINPROGRESS -e '
  $| = 1;
  my (%waiting, $result);
  while (my ($label, $address, $port) = splice @ARGV, 0, 3) {
    my ($error, @found) = getaddrinfo($address, $port, {socktype => SOCK_STREAM});
    my ($at) = ((grep { $_->{family} == AF_INET } @found), @found);
    print "$label unknown\n" and next if $error || !$at;
    socket(my $socket, $at->{family}, SOCK_STREAM, 0) or print "$label $!\n" and next;
    $socket->blocking(0);
    if (connect($socket, $at->{addr})) { print "$label open\n" }
    elsif ($! == EINPROGRESS) { $waiting{fileno $socket} = [$label, $socket] }
    else { print "$label ", words($!), "\n" }
  }
  for (my $deadline = time + 3; %waiting && time <= $deadline;) {
    my $ready = "";
    vec($ready, $_, 1) = 1 for keys %waiting;
    select undef, $ready, undef, 0.2;
    for (grep { vec $ready, $_, 1 } keys %waiting) {
      my ($label, $socket) = @{delete $waiting{$_}};
      my $code = unpack "i", getsockopt($socket, SOL_SOCKET, SO_ERROR);
      print "$label ", ($code ? words($! = $code) : "open"), "\n";
    }
  }
  print "$_->[0] silent\n" for values %waiting;
  sub words { $!{ECONNREFUSED} ? "refused" : $!{ETIMEDOUT} ? "silent" : "$!" }' "$@"
