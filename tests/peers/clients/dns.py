"""dnspython: over UDP and TCP, names that are there and that are not."""

import dns.message
import dns.query

for ask in (dns.query.udp, dns.query.tcp):
    for name, kind in (("www.shop.test", "A"), ("WWW.shop.test", "AAAA"), ("shop.test", "MX"),
                       ("missing.shop.test", "A"), ("www.private.test", "TXT")):
        ask(dns.message.make_query(name, kind), "127.0.0.1", timeout=5)
