#!/bin/sh
# What no shell can find out: the admin socket, a web server, the kernel, a unit's command line. In Perl.
# shellcheck disable=SC2154 # common.sh sets $socket

# ask_socket COMMAND [SOCKET]: what HAProxy answers on its admin socket, or on another one.
ask_socket() {
  perl -MIO::Socket::UNIX -e '
    alarm 3;
    my ($path, $command) = @ARGV;
    my $socket = IO::Socket::UNIX->new(Peer => $path) or exit 1;
    print $socket "$command\n";
    print while <$socket>;' "${2-$socket}" "$1"
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
  perl -MSocket=:DEFAULT,inet_pton,pack_sockaddr_in6,IPPROTO_IPV6,IPV6_V6ONLY -e '
    my ($address, $port) = @ARGV;
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $packed = inet_pton($family, $address) or exit;
    socket(my $socket, $family, SOCK_STREAM, 0) or print $! and exit;
    $family == AF_INET or setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    setsockopt($socket, SOL_SOCKET, $_, 1) for SO_REUSEADDR, SO_REUSEPORT;
    my $pack = $family == AF_INET6 ? \&pack_sockaddr_in6 : \&pack_sockaddr_in;
    bind($socket, $pack->($port, $packed)) or print $!;' "$1" "$2"
}

# read_command_line PID: what a unit runs, from its properties on standard input and its main process (or 0).
#   program PATH       HAProxy
#   other PATH         what the unit runs in its place
#   path PATH          a file or directory that it reads, in order
#   next PATH          the same as the next start will have it
#   option WORD        a word that matters to a check
#   master PATH        the socket of the running master process
#   environment N=V    a variable that the files may use
#   variable N F V     the variable for further options, its file and its value
read_command_line() {
  perl -e '
    my ($pid) = @ARGV;
    my (%environment, @files, $start, $program, @master);
    while (<STDIN>) {
      /^Environment=(.*)/ and do {assign($_) for words($1)};
      /^EnvironmentFiles=(.*) \(ignore_errors=\w+\)/ and push @files, $1;
      /^ExecStart=\{ path=(.*?) ; argv\[\]=(.*?) ; ignore_errors=/ and ($program, $start) = ($1, $2);
    }
    for (@files) {
      open my $file, "<", $_ or next;
      local $/;
      my $text = <$file>;
      $text =~ s/\\\n//g;
      /^\s*([A-Za-z_]\w*\s*=.*)/ and assign(join " ", words($1)) for split /\n/, $text;
    }
    exit 1 unless defined $start;
    my $value = sub {$environment{$_[0]} // ""};
    my @next = map {/^\$(\w+)$/ ? words($value->($1)) : s{\$\{(\w+)\}}{$value->($1)}ger} words($start);
    my @running = @next;
    if ($pid > 0 && open my $process, "<", "/proc/$pid/cmdline") {
      local $/;
      @running = split /\0/, <$process>;
    }
    print $program =~ m{/[^/]*(haproxy|hapee-lb)[^/]*$} ? "program" : "other", " $program\n";
    shift @$_ for \@next, \@running;
    print "next $_\n" for (parse(@next))[0]->@*;
    @master = ();
    my ($paths, $options) = parse(@running);
    print "path $_\n" for @$paths;
    print "option $_\n" for @$options;
    print "master $_\n" for @master;
    print "environment $_=$environment{$_}\n" for sort keys %environment;
    for (qw(EXTRAOPTS OPTIONS)) {
      print "variable $_ $files[0] " . $value->($_) . "\n" if @files && $start =~ /\$\{?$_\b/;
    }

    sub assign {my ($word) = @_; $word =~ /^(\w+)\s*=(.*)$/s and $environment{$1} = $2}
    # As systemd splits a line: quotes join words.
    sub words {
      my ($line, @words) = @_;
      push @words, $1 while $line =~ /\G\s*((?:[^\s"\x27]|"(?:[^"\\]|\\.)*"|\x27[^\x27]*\x27)+)/g;
      s/"((?:[^"\\]|\\.)*)"|\x27([^\x27]*)\x27/defined $1 ? $1 =~ s{\\(.)}{$1}gr : $2/ge for @words;
      @words;
    }
    # The files, and the options that matter to a check; not those of a process that stays.
    sub parse {
      my (@paths, @options, $home);
      while (@_) {
        my $word = shift;
        if ($word eq "--") {push @paths, @_; last}
        elsif ($word eq "-f") {push @paths, shift}
        elsif ($word eq "-C") {$home = shift; push @options, $word, $home}
        elsif ($word =~ /^-[LNnm]$/) {push @options, $word, shift}
        elsif ($word =~ /^-[px]$/) {shift}
        elsif ($word eq "-S") {@master = shift =~ m{^(?:unix@)?(/[^,]*)}}
        elsif ($word =~ /^-s[ft]$/) {shift while @_ && $_[0] =~ /^\d+$/}
        elsif ($word =~ /^-d[^b]/) {push @options, $word}
      }
      my $root = $home // "";
      return [map {m{^/} ? $_ : "$root/$_"} @paths], \@options;
    }' "$1"
}
