# A client of MariaDB that prepares its statements on the server: HOST PORT TIMES.
use strict;
use warnings;
use DBI;

my ($host, $port, $times) = @ARGV;
my $database = DBI->connect(
    "DBI:MariaDB:host=$host;port=$port;database=shop", "root", "",
    { RaiseError => 1, mariadb_server_prepare => 1 });
my $insert = $database->prepare("INSERT INTO t (a, b) VALUES (?, ?)");
my $select = $database->prepare("SELECT a, b FROM t WHERE a = ?");
for my $number (1 .. $times) {
    $insert->execute($number, "hunter2");
    $select->execute($number);
    my @row = $select->fetchrow_array;
    die "row $number is @row" if $row[0] != $number;
    $select->finish;
}
